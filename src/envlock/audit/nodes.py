"""The nodes of a module's control flow, which the index writes and the resolver reads.

Each statement becomes a node, a list that JSON can hold; ``line`` counts from 1::

    ["i", line, module, name]          import module [as name]
    ["f", line, module, [[name, as]]]  from module import ...; relative ones are made absolute
    ["t", body, [[types, body]], else, finally]   try; types None catches everything
    ["?", test, body, else]            if; test in reduced form
    ["l", body]                        a loop's body
    ["w", body]                        a with block that may swallow exceptions
    ["r", line, type, bare]            raise
    ["v", expression]                  return
    ["e", line, call]                  a call of a local or imported function
    ["x", line, chain]                 an attribute chain on an imported name
    ["x!", line, chain]                the same in an annotation
    ["=", name, expression]            a binding whose value can be evaluated
    ["=t", [name], expression]         the same for a tuple of names
    ["U", name, expression]            what is added to a table
    ["b", [name]]  ["d", [name]]       other bindings, deletions
    ["D", name, function]              def: the name, and the key in the table of functions
    ["N", function, line, params, body]  a function inside a function
    ["k", name, body]                  class
    ["g", [name]]                      names that a function sets globally
    ["M", module]                      a module that is put into sys.modules
    ["G"]                              a global name is set, and nobody can tell which
    ["s", chain]                       an attribute set on an imported module
    ["a", operator, value]             __all__: "=", "+" lists, "value" and "from" a chain,
                                       "of" a module, "dir" what is there, "?"
    ["T", [name], [text]]              globals().update(): other modules' tables, own texts;
                                       both empty where such a module begins
    ["L", line, [file]]                a loader that scans its own directory
    ["S", line, [major, minor]]        nothing that this Python can parse; it stands alone
"""

from __future__ import annotations

from typing import Any

Node = list[Any]
