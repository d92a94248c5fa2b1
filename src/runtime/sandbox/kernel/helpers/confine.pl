# Common to the programs that bring another program into a VM. Each sub takes something away from the process itself.

my ($PR_CAPBSET_DROP, $PR_SET_NO_NEW_PRIVS) = (24, 38);
my $KEYCTL_JOIN_SESSION_KEYRING = 1;
my ($SECCOMP_SET_MODE_FILTER, $SECCOMP_FILTER_FLAG_SPEC_ALLOW) = (1, 4);
my ($ENOSYS, $EDQUOT) = (38, 122);

# Loads no text of an error: its file may be the VM's.
sub fail { syswrite(STDERR, "$_[0], error " . ($! + 0) . "\n"); exit 1; }
sub must { my $what = shift; syscall(shift, @_) == 0 or fail("cannot $what"); }

sub refuse_new_privileges {
  must('give up new privileges', $SYS{prctl}, $PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

sub drop_bounding_set {
  for my $capability (0 .. 63) {
    last if syscall($SYS{prctl}, $PR_CAPBSET_DROP, $capability, 0, 0, 0) != 0;
  }
}

# Joins a new session keyring. The server's session may hold keys, and all VMs would share it. A user's quota of keys may
# be used up: with a filter, no program of the VM reaches a key anyway.
sub leave_session_keyring {
  my ($filter) = @_;
  return if syscall($SYS{keyctl}, $KEYCTL_JOIN_SESSION_KEYRING, 0) >= 0 || $! == $ENOSYS;
  fail("cannot leave the server's session keyring") unless $! == $EDQUOT && length $filter;
}

# Installs a seccomp filter, given in hexadecimal digits; none, if there are none. It cannot be taken off, and all programs
# that this process starts have it. SPEC_ALLOW leaves speculation as it is: before Linux 5.16 a filter slowed programs down.
sub install_filter {
  my $filter = pack('H*', $_[0]) or return;
  my $program = pack('S x6 P', length($filter) / 8, $filter);
  must('filter system calls', $SYS{seccomp}, $SECCOMP_SET_MODE_FILTER, $SECCOMP_FILTER_FLAG_SPEC_ALLOW, $program);
}
