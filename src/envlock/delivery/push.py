"""A registry as the place where an image goes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from envlock.fetch.store import Store
from envlock.registry.errors import RegistryError
from envlock.registry.memory import Whereabouts
from envlock.registry.protocol import Descriptor
from envlock.registry.pull import pull_blobs
from envlock.registry.push import Sent, image_of_layout, push_content, push_name

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from envlock.image.layout import Staging
    from envlock.progress import Reporter
    from envlock.registry.open import Access
    from envlock.registry.push import LocalImage
    from envlock.registry.reference import Reference


class Push:
    """Takes the images of one environment, one for each platform, and names them last."""

    def __init__(
        self, reference: Reference, access: Access, cache: Path, reporter: Reporter
    ) -> None:
        self.reference = reference
        self.sent = Sent()
        self._access = access.for_one_work()
        self._repository = self._access.repository(reference).for_writing()
        self._whereabouts = Whereabouts(cache, reference.registry, reference.path)
        self._reporter = reporter
        self._images: list[LocalImage] = []
        self._absent: dict[str, int] = {}
        self._mounted = 0

    def check(self) -> None:
        """Ask whether the registry lets us in, before any work is done; raises RegistryError."""
        self._repository.resolve(self.reference.tag or "latest")

    def has(self, digest: str, size: int) -> bool:
        """Tell whether the repository has a layer, or could take it over from another."""
        if self._repository.has(digest) != size:
            places = self._whereabouts.find(digest)
            if not any(self._repository.mount(digest, place) for place in places):
                return False
            self._mounted += size
        self._absent[digest] = size
        return True

    def fetch(self, layout: Path) -> None:
        """Bring the layers that were not made into the staged layout, for its proof."""
        blobs = [
            Descriptor(media_type="", digest=digest, size=size)
            for digest, size in self._absent.items()
        ]
        store = Store(layout / "pulled")
        paths = pull_blobs(
            blobs,
            self._repository,
            store,
            reporter=self._reporter,
            stop=self._access.stop,
            pause=self._access.pause,
        )
        for digest, path in paths.items():
            path.replace(layout / "blobs" / digest.replace(":", "/"))
        self._absent.clear()

    def take(self, place: Staging) -> None:
        """Push an image's content; the tag is untouched until :meth:`finish`."""
        image = image_of_layout(place.folder)

        def opened(digest: str) -> BinaryIO:
            if digest in self._absent:
                raise RegistryError(
                    f"the registry had {digest} a moment ago and has it no longer",
                    where=str(self.reference),
                    hint="run the command again",
                )
            return image.opener(digest)

        self.sent += push_content(
            replace(image, opener=opened),
            self._repository,
            reporter=self._reporter,
            stop=self._access.stop,
            whereabouts=self._whereabouts,
        )
        self.sent += Sent(mounted=self._mounted, there=-self._mounted)
        self._mounted = 0
        self._absent.clear()
        self._images.append(image)

    def finish(self) -> str:
        """Name what was taken; return the digest that the tag names.  Raises RegistryError."""
        return push_name(self._images, self._repository, self.reference.tag or "latest")
