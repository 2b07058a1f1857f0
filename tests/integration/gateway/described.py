"""What /openapi.json promises, as a judge of answers: status, media type, headers and body, and no status that it does not name."""

import re
from dataclasses import dataclass
from typing import Any, Final

import jsonschema

from tests.integration.gateway.world import Answer, Client

CODE: Final = re.compile(r"`([a-z_]+)`: ")
FORMATS: Final = jsonschema.Draft202012Validator.FORMAT_CHECKER


@dataclass(frozen=True, slots=True)
class Description:
    """The document of one gateway."""

    document: dict[str, Any]

    @classmethod
    async def of(cls, client: Client) -> "Description":
        """As that gateway serves it."""
        return cls((await client.get("/openapi.json")).body)

    def operations(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """Operation id to path, method, and the operation."""
        return {
            operation["operationId"]: (path, method, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    def promised(self) -> set[tuple[str, str]]:
        """Every operation with every code of a problem that it may answer, and its good statuses."""
        return {
            (name, code)
            for name, (_, _, operation) in self.operations().items()
            for status, response in operation["responses"].items()
            for code in (CODE.findall(response["description"]) if int(status) >= 400 else [status])
        }

    def judge(self, operation: str, answer: Answer) -> None:
        """Fail unless the answer is one that the operation promises, in every respect."""
        responses = self.operations()[operation][2]["responses"]
        assert str(answer.status) in responses, f"{operation} does not promise {answer.status}: {answer}"
        promised = responses[str(answer.status)]
        ((media_type, content),) = promised["content"].items()
        assert answer.headers["Content-Type"].partition(";")[0] == media_type
        self._validate(answer.body, content["schema"])
        for name, header in promised["headers"].items():
            assert name in answer.headers, f"{operation} {answer.status} promises the header {name}"
            text = answer.headers[name]
            self._validate(int(text) if header["schema"]["type"] == "integer" else text, header["schema"])
        if answer.status >= 400:
            assert answer.code in CODE.findall(promised["description"]), f"{operation} {answer.status} does not promise {answer.code}"

    def _validate(self, value: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole, format_checker=FORMATS).validate(value)
