"""Croissant 1.0 (MLCommons, 2024): JSON-LD about the file.

The format cannot describe the inside of an HDF5 file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.artifact import read_about
from pipeline.artifact.exporters._about import describe_set, drop_empty, join_statements, make_name
from pipeline.core.files import file_digest, write_json
from pipeline.core.paths import to_path

if TYPE_CHECKING:
    from pipeline.core.paths import AnyPath

# The terms that Croissant adds to schema.org.
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
    """Values that the format requires and an artifact does not hold; null leaves one out.

    Args:
        url: the set's web page.
        creator: name of the person or organisation that made the set.
        published: day of publication, YYYY-MM-DD.
        version: the set's version, e.g. 1.0.0.
    """

    url: str | None
    creator: str | None
    published: str | None
    version: str | None

    def write(self, artifact: AnyPath, out: AnyPath) -> str:
        """Write the description.

        Args:
            artifact: the .h5 file.
            out: the JSON file, to be published in the artifact's folder.
        """
        artifact, out = to_path(artifact), to_path(out)
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
        description = {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "name": make_name(about),
            "description": describe_set(about),
            **drop_empty(optional),
            "distribution": [file],
        }
        write_json(out, description)
        return f"{out}  of {artifact.name}, sha256 {file['sha256'][:12]}"
