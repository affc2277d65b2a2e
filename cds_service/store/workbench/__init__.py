"""Who is in the workbench, and the links by which one comes in from the machine."""
