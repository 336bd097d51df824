"""Tables and numbers as text: for papers, for readers, for a terminal and for programs."""
