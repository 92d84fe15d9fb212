"""The `.gitattributes` that a new repository has on the Hub, by type."""

from __future__ import annotations

_EVERYWHERE = """
*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot
*.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz
*.zip *.zst *tfevents*
"""
_DATASETS = """
*.avro *.lz4 *.mds *.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff *.jpg *.jpeg *.webp
*.mp4 *.webm
"""


def _lines(patterns: str) -> str:
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns.split())


GITATTRIBUTES = {
    "dataset": _lines(_EVERYWHERE + _DATASETS),
    "model": _lines(_EVERYWHERE),
    "space": _lines(_EVERYWHERE),
}
