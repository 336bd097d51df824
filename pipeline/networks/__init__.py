"""Networks: shapes and classes -> a module with one tower and one head per modality."""
