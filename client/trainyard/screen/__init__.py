"""What people see: the same words and numbers in the same places, from 80 columns, in colour only on terminals."""
