"""Networks: shapes -> one tower per modality."""
