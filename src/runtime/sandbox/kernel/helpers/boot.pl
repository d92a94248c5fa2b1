# Boots a VM: puts its root together, makes its namespaces, and starts its init and its spawner. The launcher forks it as the
# first process of the outer pid namespace, as root of the host or of an outer user namespace.
#
# Arguments: a count and as many pairs of a setting and its value; a count and as many cgroup.procs files of the VM; a count and
# as many paths of /proc to hide; pairs of a place of the host and a path where the VM may read it.
#
# The setting "plan" is a file with records of four strings, each with its length in 32 bits before it: KIND PATH WHAT MORE.
# First come directories, links and files of the VM's user, then mounts.
#
# Nobody can write to the VM's files before the server has read "ready", which init echoes to this process, and this process to
# the server. By then both have become cat(1) without capabilities. Nothing is loaded between the pivot and exec.

my %set = splice(@ARGV, 0, 2 * shift(@ARGV));
my @cgroups = splice(@ARGV, 0, shift(@ARGV));
my @hidden = splice(@ARGV, 0, shift(@ARGV));
my @shown = @ARGV;
my ($uid, $gid) = map { int } @set{qw(uid gid)};
my $is_root = $uid >= 0;
my ($CLONE_NEWNS, $CLONE_NEWIPC, $CLONE_OF_VM) = (0x20000, 0x08000000, 0x10000000 | 0x20000 | 0x20000000 | 0x40000000 | 0x04000000);
my ($MS_REC, $MS_PRIVATE, $MNT_DETACH, $O_RDONLY) = (16384, 1 << 18, 2, 0);
my $PR_SET_NAME = 15;
my ($AF_INET, $SOCK_DGRAM, $SIOCSIFFLAGS, $UP_AND_RUNNING) = (2, 2, 0x8914, 0x41);
my ($VM_ID, $ENOENT) = (1000, 2);
my ($READ_ONLY, $NO_PROGRAMS) = ($MS_RDONLY | $MS_NOSUID | $MS_NODEV, $MS_NOSUID | $MS_NODEV | $MS_NOEXEC);
my ($nothing, $root, $name, $proc, $tmpfs, $overlay) = ('', '/', 'agent-vm', 'proc', 'tmpfs', 'overlay');

# A change of the user takes it off, also one for files only.
sub end_with_launcher { main::end_with_launcher() or fail('cannot end with the launcher'); }
# Names the step, for the error of a slow boot.
sub step { my $name = "boot: $_[0]"; syscall($SYS{prctl}, $PR_SET_NAME, $name, 0, 0, 0); }
sub attach { my ($source, $target, $type, $flags, $data) = @_; return syscall($SYS{mount}, $source, $target, $type, $flags, $data) == 0; }
sub bind_mount { my ($source, $target, $flags) = @_; return attach($source, $target, $nothing, $MS_BIND | $flags, $nothing); }
sub bind_flagged {
  my ($source, $target, $flags) = @_;
  return bind_mount($source, $target, 0) && attach($nothing, $target, $nothing, $MS_REMOUNT | $MS_BIND | $flags, $nothing);
}
sub content { open(my $file, '<', $_[0]) or fail("cannot read $_[0]"); local $/; return <$file>; }

step('files');
umask 022;
# All that a boot reads of the host outside of the VM's root is opened before the pivot.
my @procs = map { open_cgroup($_) } @cgroups;
my ($oom_adj, $first_oom_adj);
open($oom_adj, '+<', '/proc/self/oom_score_adj') && sysread($oom_adj, $first_oom_adj, 16);
my @plan = unpack('(N/a*)*', content($set{plan}));
my $cat = content($set{cat});
# A script needs its own name and text.
my $init = $cat =~ /^\x7fELF/ ? $set{init} : $set{cat};

must('make a mount namespace', $SYS{unshare}, $CLONE_NEWNS | ($is_root ? $CLONE_NEWIPC : 0));
attach($nothing, $root, $nothing, $MS_REC | $MS_PRIVATE, $nothing) or fail('cannot make mounts private');
attach($name, $set{root}, $tmpfs, $MS_NOSUID | $MS_NODEV, $set{options}) or fail("cannot mount the VM's root");
chdir $set{root} or fail("cannot enter the VM's root");

sub mode { my ($path, $mode) = @_; return $mode eq '' || chmod(oct $mode, $path); }
my %make = (
  directory => sub { mkdir($_[0]) && mode($_[0], $_[1]) },
  link => sub { symlink($_[1], $_[0]) },
  file => sub { main::put($_[0], $_[2]) && mode($_[0], $_[1]) },
);
# So that they are the VM's user's.
if ($is_root) { syscall($SYS{setfsgid}, $gid); syscall($SYS{setfsuid}, $uid); }
while (@plan && exists $make{$plan[0]}) {
  my ($kind, $path, @what) = splice(@plan, 0, 4);
  $make{$kind}->(".$path", @what) or fail("cannot make the $kind $path");
}
# Unreadable, so that no program of the VM can trace init; the VM's user's, so that the server can look at it.
if ($init eq $set{init}) { main::put(".$init", $cat) && chmod(0111, ".$init") or fail('cannot write init'); }
if ($is_root) { syscall($SYS{setfsuid}, 0); syscall($SYS{setfsgid}, 0); }
end_with_launcher();

step('mounts');
# An overlay leaves out what the host has mounted below its layer. A file system of which the kernel makes no overlay stays out.
my @host_mounts;
sub show_below {
  my ($at, $layer, $empty) = @_;
  @host_mounts = grep { index($_, "$set{root}/") != 0 } map { $_->[0] } mounts() unless @host_mounts;
  for my $from (@host_mounts) {
    next unless index($from, "$layer/") == 0;
    my $to = $at . substr($from, length $layer);
    if (-f $from) { bind_flagged($from, $to, $READ_ONLY); next; }
    my $folder = syscall($SYS{openat}, $AT_FDCWD, $from, $O_RDONLY | $O_DIRECTORY | $O_CLOEXEC, 0);
    next if $folder < 0;
    attach($overlay, $to, $overlay, $READ_ONLY, "lowerdir=/proc/self/fd/$folder:$empty");
    forget($folder);
  }
  return 1;
}
my @sealed;
my %mount = (
  device => sub { bind_mount($_[1], $_[0], 0) },
  # An optional folder may have gone.
  folder => sub { bind_mount($_[1], $_[0], $MS_REC) || ($_[2] eq 'optional' && $! == $ENOENT) },
  layers => sub {
    my ($at, $layers, $more) = @_;
    my $flags = $READ_ONLY | ($more =~ /noexec/ ? $MS_NOEXEC : 0);
    return attach($overlay, $at, $overlay, $flags, $layers) || ($more =~ /optional/ && $! == $ENOENT);
  },
  below => \&show_below,
  terminals => sub { my $devpts = 'devpts'; attach($devpts, $_[0], $devpts, $MS_NOSUID | $MS_NOEXEC, $_[1]) },
  # That of the outer pid namespace: the VM's may only be mounted where a whole one is visible, and lies over it.
  processes => sub { attach($proc, $_[0], $proc, $NO_PROGRAMS, $nothing) },
);
while (my ($kind, $path, @what) = splice(@plan, 0, 4)) {
  push(@sealed, $path) if $kind eq 'folder';
  $mount{$kind}->(".$path", @what) or fail("cannot mount the $kind $path");
}
while (my ($source, $path) = splice(@shown, 0, 2)) {
  bind_flagged($source, ".$path", $MS_RDONLY | $NO_PROGRAMS) or fail("cannot mount $path");
}
my ($new, $old) = ('.', '.');
must('make the root', $SYS{pivot_root}, $new, $old);
must("leave the host's root", $SYS{umount2}, $old, $MNT_DETACH);
chdir '/' or fail("cannot enter the VM's root");
seal(@sealed);

step('limits');
# The kernel lets only root set the limits of an IPC namespace: the host's, or since Linux 6.9 the root of the user namespace
# that owns it. A kernel that lets nobody do so goes on without.
my %ipc = split(/[=,]/, $set{ipc});
main::put("/proc/sys/kernel/$_", $ipc{$_}) for keys %ipc;
limit_cores();
limit_priorities();
if ($is_root) {
  must('drop groups', $SYS{setgroups}, 0, 0);
  must('set gid', $SYS{setresgid}, $gid, $gid, $gid);
  must('set uid', $SYS{setresuid}, $uid, $uid, $uid);
  end_with_launcher();
}
# Since Linux 5.14 a user namespace keeps the limits of the process that makes it.
my %limits = split(/[=,]/, $set{limits});
limit("resource $_", int $_, int $limits{$_}) for keys %limits;

step('namespaces');
must("make the VM's namespaces", $SYS{unshare}, $CLONE_OF_VM);
# This process may write its own map only if it is dumpable. No other process of the VM's user runs yet.
be_dumpable(1);
my ($outer_uid, $outer_gid) = $is_root ? ($uid, $gid) : (0, 0);
main::put('/proc/self/setgroups', 'deny');
main::put('/proc/self/uid_map', "$VM_ID $outer_uid 1") && main::put('/proc/self/gid_map', "$VM_ID $outer_gid 1") or fail("cannot map the VM's user");
end_with_launcher();
leave_session_keyring($set{filter});
refuse_new_privileges();
drop_bounding_set();

# Gives up the last privileges, and becomes a program that copies its input. It ignores SIGCHLD, so that the kernel reaps
# its children.
sub become_cat {
  my ($program) = @_;
  drop_capabilities();
  install_filter($set{filter});
  $SIG{CHLD} = 'IGNORE';
  %ENV = ();
  open(STDERR, '>', '/dev/null');
  exec { $program } $program;
  exit 127;
}

# With init's end, and only then, its end of this pipe is closed.
pipe(my $from_init, my $to_outer) or fail('cannot make a pipe');
my $init_pid = fork;
fail('cannot fork init') unless defined $init_pid;
if ($init_pid == 0) {
  my $at = '/proc';
  attach($proc, $at, $proc, $NO_PROGRAMS, $nothing) or fail("cannot mount the VM's procfs");
  syswrite($to_outer, '.');
  step('init');
  must('set the host name', $SYS{sethostname}, $set{hostname}, length $set{hostname});
  # No user namespaces inside: each is a way into kernel code that a VM has no need of.
  main::put('/proc/sys/user/max_user_namespaces', 0) or fail('cannot forbid user namespaces');
  # The kernel counts these for the host's user, and so for all VMs of an ordinary user's server together. A kernel without
  # inotify has no such limit.
  my %inotify = split(/[=,]/, $set{inotify});
  main::put("/proc/sys/user/max_inotify_$_", $inotify{$_}) for keys %inotify;
  my $socket;
  # Without IP in the kernel there is no loopback to bring up.
  socket($socket, $AF_INET, $SOCK_DGRAM, 0) && ioctl($socket, $SIOCSIFFLAGS, pack('a16 s x14', 'lo', $UP_AND_RUNNING));
  # The VM's user may ping, which the kernel allows to groups. ICMPv6 has the same switch.
  main::put('/proc/sys/net/ipv4/ping_group_range', "$VM_ID $VM_ID");
  # The VM's user may serve at every port, and so does the server, at that of DNS.
  main::put('/proc/sys/net/ipv4/ip_unprivileged_port_start', 0);
  # The kernel mounts a procfs only if another one is not covered, so this comes after.
  for my $path (@hidden) {
    my $done = -d $path ? attach($tmpfs, $path, $tmpfs, $MS_RDONLY | $NO_PROGRAMS, $nothing) : bind_flagged($set{empty}, $path, $MS_RDONLY | $NO_PROGRAMS);
    fail("cannot hide $path") unless $done;
  }
  # By its own name, a program could fill it.
  unlink($set{empty}) or fail('cannot remove the empty file');
  if ($set{memory}) { my $meminfo = '/proc/meminfo'; bind_mount($set{memory}, $meminfo, 0) or fail('cannot show the memory of the VM'); }
  # No program of the VM changes a switch of the kernel there, or its own oom_score_adj.
  attach($nothing, $at, $nothing, $MS_REMOUNT | $MS_BIND | $MS_RDONLY | $NO_PROGRAMS, $nothing) or fail('cannot make /proc read-only');
  open(STDOUT, '>&', $to_outer) or fail('cannot open the pipe of init');
  become_cat($init);
}
close($to_outer);
# It has said why.
sysread($from_init, my $mounted, 1) or exit 1;

step('spawner');
# The server opens its ends of the spawner's pipes through /proc.
my ($in, $out);
{ local $^F = 255; pipe($in, $main::in_end) && pipe($main::out_end, $out) or fail('cannot make the pipes of the spawner'); }
my @ends = map { fileno $_ } $main::in_end, $main::out_end;
# See enter.pl. Commands and shells enter in the same way; this process has entered already.
syswrite($oom_adj, $SPAWNER_OOM_ADJ) if defined $first_oom_adj;
my $spawner_pid = fork;
unless (defined $spawner_pid && $spawner_pid == 0) {
  # Without a spawner, the first command starts one.
  syswrite($oom_adj, $first_oom_adj) if defined $first_oom_adj;
  close($_) for $in, $main::in_end, $main::out_end, $out;
  syswrite(STDOUT, "spawner @ends\n");
  open(STDIN, '<&', $from_init) or fail('cannot open the pipe of init');
  close($from_init);
  become_cat($set{cat});
}
syscall($SYS{setsid});
join_cgroup($_) for @procs;
hide_cgroups();
limit('files', $RLIMIT_NOFILE, int $set{files});
open(STDIN, '<&', $in) && open(STDOUT, '>&', $out) or fail('cannot open the pipes of the spawner');
# A program of the VM may look at the descriptors of this process.
close($_) for $in, $out, $from_init, @procs, defined $first_oom_adj ? $oom_adj : ();
my $adjustable = own_oom_adj(writable_proc());
drop_capabilities();
install_filter($set{filter});
@ARGV = ($is_root ? 1 : 0, $set{processes}, $adjustable, @ends);
# Without exec it becomes the launcher's. But this process came from the host's perl, to which /proc/PID/exe leads.
exec { $set{perl} } $set{perl}, '-f', '-e', $set{spawner}, '--', @ARGV if length $set{spawner};
undef $cat;
undef %set;
main::run_spawner();
