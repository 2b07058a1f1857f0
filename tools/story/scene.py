"""One thing that somebody did in a story, what was answered, and whether the story went as it must."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that somebody did and what came of it."""

    who: str
    does: str
    outcome: str
    held: bool
    took_ms: int
    status: int | None = None  # of the HTTP answer
    id: str | None = None

    @property
    def told(self) -> str:
        """What two tellings of the same story must have alike."""
        return f"{self.who} {self.does}: {self.outcome}{'' if self.held else ' (NOT HELD)'}"


def line(scene: Scene) -> str:
    """One scene as a line of progress."""
    return f"{'✓' if scene.held else '✗'} {scene.who} {scene.does}: {scene.outcome} ({scene.took_ms} ms)"
