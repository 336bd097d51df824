"""The ground: records, errors, params, plugins and files, which every room may import."""
