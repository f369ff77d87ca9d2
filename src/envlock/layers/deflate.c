/* layers/deflate.py once more, for machines that have a C compiler: the same input gives the
 * same bytes.  deflate.py says what they are and why; a change there is a change here, and the
 * tests hold the two against each other.  compiled.py compiles, tries and loads this file.
 */
#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "the decision to store a chunk needs plain double arithmetic"
#endif

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LITTLE 1
#else
#define LITTLE 0
#endif

enum {
    CHUNK = 256 * 1024,
    WINDOW = 32 * 1024,
    BLOCK_TOKENS = 32 * 1024,
    SMALL = 2048,
    MIN_MATCH = 4,
    MAX_MATCH = 258,
    END_OF_BLOCK = 256,
    LONGEST = 285,
    LITERALS_CHUNK = 1024 * 1024,
    SAMPLED = 16,
    ZEROS = 259,
    LITERALS = 288,
    DISTANCES = 32,
    LEVELS = 15,
    STORED = 0xFFFF,
    WIDEST = 16,
    MATCH_BITS = 15 + 5 + 15 + 13
};
static const double WORTH = 0.9;
static const uint8_t ALIGN[4] = {0, 0, 0xFF, 0xFF};
static const uint8_t LENGTH_ORDER[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                         11, 4,  12, 3, 13, 2, 14, 1, 15};

/* --- bits, least significant first --- */

typedef struct {
    uint8_t *out;
    size_t size;
    uint64_t held;
    int width;
} Bits;

/* Hold some more bits: at most MATCH_BITS where flush() was before, and 64 in all. */
static void hold(Bits *bits, uint64_t value, int width) {
    bits->held |= value << bits->width;
    bits->width += width;
}

/* Write the whole bytes that are held; up to eight bytes behind them are written over. */
static void flush(Bits *bits) {
    uint8_t *out = bits->out + bits->size;
    int whole = bits->width >> 3;
#if LITTLE
    memcpy(out, &bits->held, sizeof bits->held);
#else
    for (int byte = 0; byte < whole; byte++)
        out[byte] = (uint8_t)(bits->held >> 8 * byte);
#endif
    bits->size += (size_t)whole;
    bits->held = whole < 8 ? bits->held >> 8 * whole : 0;
    bits->width &= 7;
}

static void put(Bits *bits, uint32_t value, int width) {
    hold(bits, value, width);
    flush(bits);
}

/* The header of an empty stored block, and what follows its padding. */
static void put_alignment(Bits *bits) {
    put(bits, 0, 3);
    if (bits->width)
        put(bits, 0, 8 - bits->width);
    memcpy(bits->out + bits->size, ALIGN, sizeof ALIGN);
    bits->size += sizeof ALIGN;
}

static size_t stored_size(size_t size) { return size + 5 * ((size + STORED - 1) / STORED); }

static size_t store(const uint8_t *data, size_t size, uint8_t *out) {
    size_t written = 0;
    for (size_t start = 0; start < size; start += STORED) {
        uint32_t piece = (uint32_t)(size - start < STORED ? size - start : STORED);
        uint8_t *head = out + written;
        head[0] = 0;
        head[1] = (uint8_t)piece;
        head[2] = (uint8_t)(piece >> 8);
        head[3] = (uint8_t)~piece;
        head[4] = (uint8_t)(~piece >> 8);
        memcpy(head + 5, data + start, piece);
        written += piece + 5;
    }
    return written;
}

/* --- codes --- */

typedef struct {
    uint8_t length[LITERALS];
    uint16_t code[LITERALS]; /* as it is put: its first bit is the lowest */
} Code;

/* Some symbols that stand together, and how often all of them occur. */
typedef struct {
    uint64_t count;
    const uint16_t *symbols;
    int size;
} Package;

/* The order of Python's tuples (count, (symbol, ...)). */
static int before(const Package *one, const Package *two) {
    if (one->count != two->count)
        return one->count < two->count;
    for (int place = 0; place < one->size && place < two->size; place++)
        if (one->symbols[place] != two->symbols[place])
            return one->symbols[place] < two->symbols[place];
    return one->size < two->size;
}

/* For packages that are nearly in order. */
static void sort_packages(Package *packages, int count) {
    for (int place = 1; place < count; place++) {
        Package moved = packages[place];
        int hole = place;
        for (; hole && before(&moved, &packages[hole - 1]); hole--)
            packages[hole] = packages[hole - 1];
        packages[hole] = moved;
    }
}

/* Code lengths of at most `limit` bits by package-merge; symbols that never occur have none. */
static void code_lengths(const uint32_t *counts, int symbols, int limit, uint8_t *length) {
    uint16_t names[LITERALS], arena[2][LITERALS * (LEVELS + 1)];
    Package leaves[LITERALS], packages[2 * LITERALS], merged[LITERALS], joined[2 * LITERALS];
    int leaf_count = 0;
    memset(length, 0, (size_t)symbols);
    for (int symbol = 0; symbol < symbols; symbol++) {
        if (!counts[symbol])
            continue;
        names[leaf_count] = (uint16_t)symbol;
        leaves[leaf_count].count = counts[symbol];
        leaves[leaf_count].symbols = &names[leaf_count];
        leaves[leaf_count++].size = 1;
    }
    sort_packages(leaves, leaf_count);
    if (leaf_count == 1) {
        length[leaves[0].symbols[0]] = 1;
        return;
    }
    int count = leaf_count;
    memcpy(packages, leaves, sizeof(Package) * (size_t)leaf_count);
    for (int level = 1; level < limit; level++) {
        uint16_t *free_place = arena[level & 1];
        int pairs = count / 2, leaf = 0, pair = 0;
        for (int place = 0; place < pairs; place++) {
            const Package *one = &packages[2 * place], *two = one + 1;
            merged[place].count = one->count + two->count;
            merged[place].symbols = free_place;
            merged[place].size = one->size + two->size;
            memcpy(free_place, one->symbols, sizeof(uint16_t) * (size_t)one->size);
            memcpy(free_place + one->size, two->symbols, sizeof(uint16_t) * (size_t)two->size);
            free_place += merged[place].size;
        }
        sort_packages(merged, pairs);
        for (count = 0; leaf < leaf_count || pair < pairs; count++) {
            int take = pair == pairs || (leaf < leaf_count && before(&leaves[leaf], &merged[pair]));
            joined[count] = take ? leaves[leaf++] : merged[pair++];
        }
        memcpy(packages, joined, sizeof(Package) * (size_t)count);
    }
    for (int place = 0; place < 2 * leaf_count - 2; place++)
        for (int each = 0; each < packages[place].size; each++)
            length[packages[place].symbols[each]]++;
}

static void canonical(Code *code, int symbols) {
    uint32_t next = 0;
    for (int width = 1; width <= LEVELS; width++) {
        next <<= 1;
        for (int symbol = 0; symbol < symbols; symbol++) {
            if (code->length[symbol] != width)
                continue;
            uint32_t turned = 0;
            for (int bit = 0; bit < width; bit++)
                turned |= (next >> bit & 1) << (width - 1 - bit);
            code->code[symbol] = (uint16_t)turned;
            next++;
        }
    }
}

static void put_symbol(Bits *bits, const Code *code, int symbol) {
    put(bits, code->code[symbol], code->length[symbol]);
}

/* --- the tables of a dynamic block (RFC 1951, 3.2.7) --- */

typedef struct {
    uint8_t symbol, width;
    uint16_t extra;
} Run;

static int find_runs(const uint8_t *lengths, int count, Run *runs) {
    int found = 0;
    for (int place = 0; place < count;) {
        uint8_t value = lengths[place];
        int run = 1, step;
        while (place + run < count && lengths[place + run] == value)
            run++;
        place += run;
        if (value) {
            runs[found++] = (Run){value, 0, 0};
            run--;
        }
        for (; run >= 3; run -= step) {
            if (value) {
                step = run < 6 ? run : 6;
                runs[found++] = (Run){16, 2, (uint16_t)(step - 3)};
            } else if (run < 11) {
                step = run;
                runs[found++] = (Run){17, 3, (uint16_t)(step - 3)};
            } else {
                step = run < 138 ? run : 138;
                runs[found++] = (Run){18, 7, (uint16_t)(step - 11)};
            }
        }
        for (; run; run--)
            runs[found++] = (Run){value, 0, 0};
    }
    return found;
}

static int last_used(const uint8_t *length, int symbols) {
    while (symbols > 1 && !length[symbols - 1])
        symbols--;
    return symbols;
}

static void put_tables(Bits *bits, const Code *literals, const Code *distances) {
    uint8_t lengths[LITERALS + DISTANCES];
    Run runs[LITERALS + DISTANCES];
    uint32_t counts[19] = {0};
    Code code;
    int literal_count = last_used(literals->length, LITERALS), kinds = 0, used = 4;
    int distance_count = last_used(distances->length, DISTANCES);
    if (literal_count < 257)
        literal_count = 257;
    memcpy(lengths, literals->length, (size_t)literal_count);
    memcpy(lengths + literal_count, distances->length, (size_t)distance_count);
    int found = find_runs(lengths, literal_count + distance_count, runs);
    for (int place = 0; place < found; place++)
        kinds += !counts[runs[place].symbol]++;
    code_lengths(counts, 19, 7, code.length);
    if (kinds == 1)
        code.length[code.length[0] ? 18 : 0] = 1;
    canonical(&code, 19);
    for (int place = 4; place < 19; place++)
        if (code.length[LENGTH_ORDER[place]])
            used = place + 1;
    put(bits, (uint32_t)(literal_count - 257), 5);
    put(bits, (uint32_t)(distance_count - 1), 5);
    put(bits, (uint32_t)(used - 4), 4);
    for (int place = 0; place < used; place++)
        put(bits, code.length[LENGTH_ORDER[place]], 3);
    for (int place = 0; place < found; place++) {
        put_symbol(bits, &code, runs[place].symbol);
        put(bits, runs[place].extra, runs[place].width);
    }
}

/* --- matches: a token is a literal (0-255) or length << 16 | distance --- */

static uint32_t word(const uint8_t *data) {
    uint32_t value;
    memcpy(&value, data, sizeof value);
    return value;
}

/* Where four bytes were: those of one hash in a chain, the last first.  Places come nearly in
 * order (they go back within a match at most), so a chain need not be followed for longer than
 * the window: what was further away would not be taken.
 */
typedef struct {
    uint32_t place, before; /* before: the next of the chain, or 0 */
} Seen;

typedef struct {
    uint32_t *last; /* by hash: the last of a chain, or 0 */
    Seen *seen;
    uint32_t count;
    int shift;
} Chains;

static void start_chains(Chains *chains, size_t size) {
    int wide = 4;
    while (wide < WIDEST && (size_t)1 << wide < size)
        wide++;
    chains->shift = 32 - wide;
    chains->count = 0;
    memset(chains->last, 0, sizeof(uint32_t) << wide);
}

static void note(Chains *chains, uint32_t key, size_t place) {
    uint32_t *last = &chains->last[key * 2654435761U >> chains->shift];
    chains->seen[++chains->count] = (Seen){(uint32_t)place, *last};
    *last = chains->count;
}

/* Where `key` was noted last, plus one; 0 where it was not, or out of reach. */
static size_t find(const Chains *chains, const uint8_t *data, uint32_t key, size_t here) {
    uint32_t at = chains->last[key * 2654435761U >> chains->shift];
    for (; at; at = chains->seen[at].before) {
        size_t place = chains->seen[at].place;
        if (place + WINDOW + MAX_MATCH < here)
            return 0;
        if (word(data + place) == key)
            return place + 1;
    }
    return 0;
}

static size_t match_length(const uint8_t *one, const uint8_t *other, size_t most) {
    size_t length = MIN_MATCH;
#if LITTLE
    for (; length + 8 <= most; length += 8) {
        uint64_t here, there;
        memcpy(&here, one + length, sizeof here);
        memcpy(&there, other + length, sizeof there);
        if (here != there)
            return length + (size_t)(__builtin_ctzll(here ^ there) >> 3);
    }
#endif
    while (length < most && one[length] == other[length])
        length++;
    return length;
}

static size_t tokens(const uint8_t *data, size_t size, Chains *chains, uint32_t *out) {
    size_t count = 0, here = 0, anchor = 0;
    if (size >= 2 * MIN_MATCH) {
        size_t limit = size - 4;
        start_chains(chains, size);
        while (here < limit) {
            uint32_t key = word(data + here);
            size_t there = find(chains, data, key, here), length, most;
            note(chains, key, here);
            if (!there-- || here - there > WINDOW) {
                here += 1 + ((here - anchor) >> 6);
                continue;
            }
            most = size - here < MAX_MATCH ? size - here : MAX_MATCH;
            length = match_length(data + here, data + there, most);
            while (here > anchor && there && length < MAX_MATCH
                   && data[here - 1] == data[there - 1]) {
                here--;
                there--;
                length++;
            }
            while (anchor < here)
                out[count++] = data[anchor++];
            out[count++] = (uint32_t)(length << 16 | (here - there));
            anchor = here + length;
            if (anchor < limit)
                for (size_t inside = here + 1; inside < anchor; inside += length < 32 ? 2 : 8)
                    note(chains, word(data + inside), inside);
            here = anchor;
        }
    }
    while (anchor < size)
        out[count++] = data[anchor++];
    return count;
}

/* --- symbols (RFC 1951, 3.2.5) --- */

typedef struct {
    int symbol, width;
    uint32_t extra;
} Part;

static Part length_part(uint32_t length) {
    if (length == MAX_MATCH)
        return (Part){LONGEST, 0, 0};
    uint32_t value = length - 3;
    int width;
    if (value < 8)
        return (Part){257 + (int)value, 0, 0};
    width = 29 - __builtin_clz(value);
    return (Part){257 + 4 * width + (int)(value >> width), width, value & ((1U << width) - 1)};
}

static Part distance_part(uint32_t distance) {
    uint32_t value = distance - 1;
    int width;
    if (value < 4)
        return (Part){(int)value, 0, 0};
    width = 30 - __builtin_clz(value);
    return (Part){2 * width + (int)(value >> width), width, value & ((1U << width) - 1)};
}

static void put_body(
    Bits *bits, const uint32_t *token, size_t count, const Code *literals, const Code *distances) {
    for (size_t place = 0; place < count; place++) {
        if (token[place] < END_OF_BLOCK) {
            hold(bits, literals->code[token[place]], literals->length[token[place]]);
            if (bits->width > 64 - MATCH_BITS)
                flush(bits);
            continue;
        }
        Part length = length_part(token[place] >> 16);
        Part distance = distance_part(token[place] & 0xFFFF);
        hold(bits, literals->code[length.symbol], literals->length[length.symbol]);
        hold(bits, length.extra, length.width);
        hold(bits, distances->code[distance.symbol], distances->length[distance.symbol]);
        hold(bits, distance.extra, distance.width);
        flush(bits);
    }
    put_symbol(bits, literals, END_OF_BLOCK);
}

static void put_fixed(Bits *bits, const uint32_t *token, size_t count) {
    Code literals, distances;
    for (int symbol = 0; symbol < LITERALS; symbol++)
        literals.length[symbol] = symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
    memset(distances.length, 5, DISTANCES);
    canonical(&literals, LITERALS);
    canonical(&distances, DISTANCES);
    put(bits, 2, 3);
    put_body(bits, token, count, &literals, &distances);
}

static void put_dynamic(Bits *bits, const uint32_t *token, size_t count) {
    uint32_t literal_counts[LITERALS] = {0}, distance_counts[DISTANCES] = {0};
    Code literals, distances;
    int matches = 0;
    literal_counts[END_OF_BLOCK] = 1;
    for (size_t place = 0; place < count; place++) {
        if (token[place] < END_OF_BLOCK) {
            literal_counts[token[place]]++;
            continue;
        }
        literal_counts[length_part(token[place] >> 16).symbol]++;
        distance_counts[distance_part(token[place] & 0xFFFF).symbol]++;
        matches = 1;
    }
    if (!matches)
        distance_counts[0] = 1;
    code_lengths(literal_counts, LITERALS, LEVELS, literals.length);
    code_lengths(distance_counts, DISTANCES, LEVELS, distances.length);
    canonical(&literals, LITERALS);
    canonical(&distances, DISTANCES);
    put(bits, 4, 3);
    put_tables(bits, &literals, &distances);
    put_body(bits, token, count, &literals, &distances);
}

/* --- what compiled.py calls: they return bytes written, or 0 without memory --- */

static size_t room(size_t size) { return 2 * size + 8192; }

size_t envlock_compress(const uint8_t *data, size_t size, uint8_t *out) {
    size_t most = size < CHUNK ? size : CHUNK, written = 0;
    uint32_t *token = malloc(sizeof(uint32_t) * (most + 1));
    uint8_t *packed = malloc(room(most));
    Chains chains = {malloc(sizeof(uint32_t) << WIDEST), malloc(sizeof(Seen) * (2 * most + 2)), 0, 0};
    if (token && packed && chains.last && chains.seen) {
        for (size_t start = 0; start < size; start += CHUNK) {
            size_t length = size - start < CHUNK ? size - start : CHUNK;
            size_t count = tokens(data + start, length, &chains, token);
            Bits bits = {packed, 0, 0, 0};
            for (size_t block = 0; block < count; block += BLOCK_TOKENS) {
                size_t some = count - block < BLOCK_TOKENS ? count - block : BLOCK_TOKENS;
                (length < SMALL ? put_fixed : put_dynamic)(&bits, token + block, some);
            }
            put_alignment(&bits);
            if (bits.size < stored_size(length)) {
                memcpy(out + written, packed, bits.size);
                written += bits.size;
            } else {
                written += store(data + start, length, out + written);
            }
        }
    }
    free(token);
    free(packed);
    free(chains.last);
    free(chains.seen);
    return written;
}

static size_t zeros_from(const uint8_t *data, size_t size, size_t here) {
    size_t end = here;
    while (end < size && !data[end])
        end++;
    return end - here;
}

/* Write a chunk as one block; return 0 where that is not worth it. */
static size_t code_chunk(const uint8_t *data, size_t size, uint8_t *packed) {
    uint32_t counts[LITERALS] = {0}, sampled[256] = {0};
    uint64_t left = 0, width = 0, total = 0;
    int zeros = 0;
    Code literals, distances;
    for (size_t here = 0; here < size; here += SAMPLED)
        sampled[data[here]]++;
    for (int byte = 0; byte < 256; byte++)
        counts[byte] = 2 * sampled[byte] + 1;
    counts[END_OF_BLOCK] = 1;
    counts[LONGEST] = 64;
    code_lengths(counts, LITERALS, LEVELS, literals.length);
    for (size_t here = 0; here < size;) {
        size_t run = zeros_from(data, size, here);
        zeros |= run >= ZEROS;
        left += run && run < ZEROS ? run : 0;
        here += run;
        if (here < size) {
            left++;
            here++;
        }
    }
    for (int byte = zeros ? 1 : 0; byte < 256; byte++) {
        width += (uint64_t)sampled[byte] * literals.length[byte];
        total += sampled[byte];
    }
    if (total && (double)(left * width) / (double)total > WORTH * 8 * (double)size)
        return 0;
    canonical(&literals, LITERALS);
    memset(distances.length, 0, DISTANCES);
    distances.length[0] = 1;
    Bits bits = {packed, 0, 0, 0};
    put(&bits, 4, 3);
    put_tables(&bits, &literals, &distances);
    for (size_t here = 0; here < size;) {
        size_t run = zeros_from(data, size, here);
        if (run >= ZEROS) {
            put_symbol(&bits, &literals, 0);
            here++;
            for (size_t repeats = (run - 1) / MAX_MATCH; repeats; repeats--, here += MAX_MATCH) {
                put_symbol(&bits, &literals, LONGEST);
                put(&bits, 0, 1);
            }
            run = (run - 1) % MAX_MATCH;
        }
        for (; run; run--, here++)
            put_symbol(&bits, &literals, 0);
        if (here < size)
            put_symbol(&bits, &literals, data[here++]);
    }
    put_symbol(&bits, &literals, END_OF_BLOCK);
    put_alignment(&bits);
    return (double)bits.size < WORTH * (double)size ? bits.size : 0;
}

size_t envlock_literals(const uint8_t *data, size_t size, uint8_t *out) {
    size_t most = size < LITERALS_CHUNK ? size : LITERALS_CHUNK, written = 0;
    uint8_t *packed = malloc(room(most));
    if (!packed)
        return 0;
    for (size_t start = 0; start < size; start += LITERALS_CHUNK) {
        size_t length = size - start < LITERALS_CHUNK ? size - start : LITERALS_CHUNK;
        size_t coded = code_chunk(data + start, length, packed);
        if (coded) {
            memcpy(out + written, packed, coded);
            written += coded;
        } else {
            written += store(data + start, length, out + written);
        }
    }
    free(packed);
    return written;
}
