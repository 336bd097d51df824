"""Published .pt files of other projects -> synthetic set, one file per layout: `read(place)`.

Of a set's meaning such files say next to nothing: what they leave out are an importer's parameters, held against the tensors.
"""
