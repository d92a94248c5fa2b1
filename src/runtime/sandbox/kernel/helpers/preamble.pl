# Common to all helper programs. The loader puts it in front of each, behind lines that set $ARCH and %SYS: the architecture, and
# the numbers of the system calls that the program names.
#
# No helper loads a module: inside a VM, the folders that perl searches belong to the VM's user.

# use strict, without strict.pm.
BEGIN { $^H |= 0x7e2; }

my ($O_DIRECTORY, $O_NOFOLLOW) = $ARCH eq 'arm64' ? (040000, 0100000) : (0200000, 0400000);
my ($O_PATH, $O_CLOEXEC) = (010000000, 02000000);
my ($EINTR, $EAGAIN, $EINVAL) = (4, 11, 22);
