# Common to the programs that bring another program into a VM. Each sub takes something away from the process itself.

my ($PR_SET_DUMPABLE, $PR_CAPBSET_DROP, $PR_SET_NO_NEW_PRIVS, $PR_CAP_AMBIENT, $PR_CAP_AMBIENT_CLEAR_ALL) = (4, 24, 38, 47, 4);
my $CAPABILITY_VERSION_3 = 0x20080522;
my $CLONE_NEWCGROUP = 0x02000000;
my ($RLIMIT_CORE, $RLIMIT_NOFILE, $RLIMIT_NICE, $RLIMIT_RTPRIO) = (4, 7, 13, 14);
my ($AT_FDCWD, $AT_EMPTY_PATH, $OPEN_TREE_CLONE, $MOUNT_ATTR_RDONLY) = (-100, 0x1000, 1, 1);
# The spawner gives its commands 1000. In a cgroup the kernel adds 1/1000 of the VM's memory for each point, so a spawner
# outlives its commands only with a wide gap.
my $SPAWNER_OOM_ADJ = 500;
my $KEYCTL_JOIN_SESSION_KEYRING = 1;
my ($SECCOMP_SET_MODE_FILTER, $SECCOMP_FILTER_FLAG_SPEC_ALLOW) = (1, 4);
my ($EPERM, $ENOSYS, $EDQUOT) = (1, 38, 122);

# Loads no text of an error: its file may be the VM's.
sub fail { syswrite(STDERR, "$_[0], error " . ($! + 0) . "\n"); exit 1; }
sub must { my $what = shift; syscall(shift, @_) == 0 or fail("cannot $what"); }

sub refuse_new_privileges {
  must('give up new privileges', $SYS{prctl}, $PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

sub be_dumpable { must('be dumpable or not', $SYS{prctl}, $PR_SET_DUMPABLE, $_[0], 0, 0, 0); }

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

sub drop_capabilities {
  must('drop ambient capabilities', $SYS{prctl}, $PR_CAP_AMBIENT, $PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  my ($head, $none) = (pack('L l', $CAPABILITY_VERSION_3, 0), pack('L6', (0) x 6));
  must('drop capabilities', $SYS{capset}, $head, $none);
}

# The namespace's root is the VM's cgroup: /proc/self/cgroup names no place on the host. EINVAL: the kernel has no such
# namespaces.
sub hide_cgroups { syscall($SYS{unshare}, $CLONE_NEWCGROUP) == 0 || $! == $EINVAL or fail('no cgroup namespace'); }

sub open_cgroup { open(my $procs, '>', $_[0]) or fail("cannot open the VM's cgroup"); return $procs; }
sub join_cgroup { defined syswrite($_[0], '0') or fail("cannot enter the VM's cgroup"); }

sub limit { my ($what, $number, $most) = @_; must("limit $what", $SYS{prlimit64}, 0, $number, pack('QQ', $most, $most), 0); }

# A handler of core dumps that is a program runs as root on the host at any limit but 1. See core(5). A hard limit of 0 stays, unless
# this process may raise limits.
sub limit_cores {
  my $one = pack('QQ', 1, 1);
  syscall($SYS{prlimit64}, 0, $RLIMIT_CORE, $one, 0) == 0 or $! == $EPERM or fail('cannot limit cores');
}

# The server may have been given a right to these. A program of real-time priority takes a CPU from all others.
sub limit_priorities { limit('priorities', $_, 0) for $RLIMIT_NICE, $RLIMIT_RTPRIO; }

# A clone of the mount of /proc that is not read-only and has no masks. No program of the VM may ever get hold of it. Before
# Linux 5.12 there is none.
sub writable_proc {
  my ($proc, $nothing, $clear) = ('/proc', '', pack('QQQQ', 0, $MOUNT_ATTR_RDONLY, 0, 0));
  my $clone = syscall($SYS{open_tree}, $AT_FDCWD, $proc, $OPEN_TREE_CLONE);
  return $clone if $clone < 0;
  return $clone if syscall($SYS{mount_setattr}, $clone, $nothing, $AT_EMPTY_PATH, $clear, length $clear) == 0;
  forget($clone);
  return -1;
}

# Opens the spawner's own oom_score_adj for writing and closes the clone. The pid, and so the file, stays over exec. The
# files of a process that is not dumpable are root's. This process has capabilities that no program of the VM has, so none
# can look into it, dumpable or not.
sub own_oom_adj {
  my ($clone) = @_;
  return -1 if $clone < 0;
  my ($name, $O_WRONLY) = ('self/oom_score_adj', 1);
  be_dumpable(1);
  my $file = syscall($SYS{openat}, $clone, $name, $O_WRONLY, 0);
  forget($clone);
  return $file;
}

# Closes a descriptor, if there is one.
sub forget { open(my $closed, '<&=', $_[0]) if $_[0] >= 0; }
