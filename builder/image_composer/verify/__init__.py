"""Whether a finished image does what it is for: it is started on a virtual machine, as on a real one."""
