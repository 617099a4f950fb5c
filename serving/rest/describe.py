"""The status and the metadata of a model, as TF Serving prints its protos."""

import json
from collections.abc import Sequence

from google.protobuf.json_format import MessageToDict

from serving.manager import VersionStatus
from serving.servable import Servable


def status(versions: Sequence[VersionStatus]) -> bytes:
    """`{"model_version_status": [{"version": "…", "state": "AVAILABLE", "status": {…}}]}`."""
    return _json(
        {
            "model_version_status": [
                {
                    "version": str(one.version),
                    "state": one.state,
                    "status": {"error_code": one.code.name, "error_message": one.message},
                }
                for one in versions
            ]
        }
    )


def metadata(servable: Servable) -> bytes:
    """`{"model_spec": {…}, "metadata": {"signature_def": {"signature_def": {name: SignatureDef}}}}`."""
    signatures = {
        name: MessageToDict(signature, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
        for name, signature in sorted(servable.model.meta_graph.items())
    }
    return _json(
        {
            "model_spec": {"name": servable.name, "signature_name": "", "version": str(servable.version)},
            "metadata": {"signature_def": {"signature_def": signatures}},
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
