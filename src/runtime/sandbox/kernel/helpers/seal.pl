# Makes mounts, and all mounts below them, read-only, without set-user-ID programs and devices. A VM's boot runs it in the
# VM's mount namespace. Its arguments are the paths.
#
# It reports no error, for example on a kernel without mount_setattr(2): the boot looks again.

my ($AT_FDCWD, $AT_RECURSIVE) = (-100, 0x8000);
# MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV
my $attributes = pack('QQQQ', 1 | 2 | 4, 0, 0, 0);

syscall($SYS{mount_setattr}, $AT_FDCWD, $_, $AT_RECURSIVE, $attributes, length $attributes) for @ARGV;
