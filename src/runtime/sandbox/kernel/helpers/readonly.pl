# Makes the root of a VM read-only for everything in the VM. Descriptors: USER and MOUNT, namespaces of the VM, and ROOT, its
# root. Enters the namespaces, runs no program there, and ends with 0 if the root is read-only.

my ($user, $mount, $root) = map { int } @ARGV;
my ($CLONE_NEWUSER, $CLONE_NEWNS, $AT_EMPTY_PATH) = (0x10000000, 0x20000, 0x1000);
# MOUNT_ATTR_RDONLY
my $attributes = pack('QQQQ', 1, 0, 0, 0);
my $path = '';

sub must { syscall(shift, @_) == 0 or die "error " . ($! + 0) . "\n"; }
must($SYS{setns}, $user, $CLONE_NEWUSER);
must($SYS{setns}, $mount, $CLONE_NEWNS);
must($SYS{mount_setattr}, $root, $path, $AT_EMPTY_PATH, $attributes, length $attributes);
