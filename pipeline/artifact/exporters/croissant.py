"""Croissant 1.0 (MLCommons, 2024): JSON-LD that describes the file; it cannot describe what is inside of an HDF5 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.artifact import read_about
from pipeline.artifact.exporters._about import describe_set, drop_empty, join_statements, name_of
from pipeline.core.files import file_digest, write_json

if TYPE_CHECKING:
    from pathlib import Path

# The vocabulary's own terms, and those that the format gives a type.
TERMS = (
    *(
        "citeAs",
        "column",
        "equivalentProperty",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
    ),
    *(
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
    ),
    *("samplingRate", "separator", "source", "subField", "transform"),
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS},
}


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """What the format asks for and no artifact knows; null leaves it out.

    Args:
        url: of the set's page; `creator`: who made the set; `published`: the day, YYYY-MM-DD; `version`: of the set, as in 1.0.0.
    """

    url: str | None
    creator: str | None
    published: str | None
    version: str | None

    def write(self, artifact: Path, out: Path) -> str:
        """Write the description, to lie beside the artifact."""
        _, about = read_about(artifact)
        file = {
            "@type": "cr:FileObject",
            "@id": artifact.name,
            "name": artifact.name,
            "contentUrl": artifact.name,
            "contentSize": f"{artifact.stat().st_size} B",
            "encodingFormat": "application/x-hdf5",
            "sha256": file_digest(artifact),
        }
        optional = {
            "url": self.url,
            "creator": {"@type": "sc:Organization", "name": self.creator} if self.creator else None,
            "datePublished": self.published,
            "version": self.version,
            "license": join_statements(about, "licence"),
            "citeAs": join_statements(about, "citation"),
        }
        described = {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "name": name_of(about),
            "description": describe_set(about),
            **drop_empty(optional),
            "distribution": [file],
        }
        write_json(out, described)
        return f"{out}  of {artifact.name}, sha256 {file['sha256'][:12]}"
