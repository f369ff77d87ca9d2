"""Other tools' files: locks written as theirs, and specs begun from theirs."""
