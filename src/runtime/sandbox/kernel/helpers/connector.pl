# Makes sockets in the network namespace of one VM and hands them to the server. Runs in no other namespace of the VM's
# but its user namespace: nothing inside can see, signal or trace it, and none of the VM's files are among its own.
#
# Arguments: CHANNEL; pid of the VM's init, or 0 to stay where it is; the name of its launch.
#
# Reads frames from stdin:
#   "c" ID FAMILY PORT    FAMILY 4 or 6, 8 bits; PORT 16 bits: connects to that port of the loopback
#   "x" ID                gives up on it
#   "l" ID PORT           listens on that port of 127.0.0.1, or on a free port if it is 0
#   "d" ID PORT           takes datagrams at that port of 127.0.0.1
#   "u" ID NAME           listens at that abstract name of Unix sockets
# Writes a frame "E" ID ERRNO to stdout for each request that fails. A socket goes over Node's own channel between
# processes instead, on descriptor CHANNEL: Node takes a descriptor (SCM_RIGHTS) from no other stream.

my ($channel_fd, $init) = map { int } splice(@ARGV, 0, 2);
my ($launch) = @ARGV;
my $EINPROGRESS = 115;

$0 = 'agentos-connector';
if ($init) {
  my @namespaces = map { open(my $namespace, '<', "/proc/$init/ns/$_") or fail("cannot open the VM's namespaces"); $namespace } qw(user net);
  must('enter', $SYS{setns}, fileno $_, 0) for @namespaces;
  close($_) for @namespaces;
  refuse_new_privileges();
  drop_bounding_set();
  drop_capabilities();
}

my %connecting;

sub refuse {
  my ($id, $errno) = @_;
  send_frame(\*STDOUT, 'E', $id, pack('N', $errno));
}

sub hand { my ($id, $type, $socket) = @_; hand_over($channel_fd, "$id,\"of\":\"$launch\"", "\"type\":\"$type\"", $socket); }

sub start_connecting {
  my ($id, $family, $port) = @_;
  my $socket;
  return refuse($id, $! + 0) unless socket($socket, $family == 4 ? $AF_INET : $AF_INET6, $SOCK_STREAM, 0);
  return hand($id, 'net.Socket', $socket) if connect($socket, $LOOPBACK{$family}->($port));
  return refuse($id, $! + 0) unless $! == $EINPROGRESS;
  $connecting{$id} = $socket;
}

sub finish_connecting {
  my ($id) = @_;
  my $socket = delete $connecting{$id};
  my $errno = unpack('i', getsockopt($socket, $SOL_SOCKET, $SO_ERROR));
  return $errno == 0 ? hand($id, 'net.Socket', $socket) : refuse($id, $errno);
}

sub start_listening {
  my ($id, $port) = @_;
  my $socket;
  return refuse($id, $! + 0)
    unless socket($socket, $AF_INET, $SOCK_STREAM, 0) && bind($socket, $LOOPBACK{4}->($port)) && listen($socket, $BACKLOG);
  hand($id, 'net.Server', $socket);
}

sub take_datagrams {
  my ($id, $port) = @_;
  my $socket;
  return refuse($id, $! + 0) unless socket($socket, $AF_INET, $SOCK_DGRAM, 0) && bind($socket, $LOOPBACK{4}->($port));
  hand($id, 'dgram.Socket","dgramType":"udp4', $socket);
}

sub start_listening_at {
  my ($id, $name) = @_;
  my $socket;
  return refuse($id, $! + 0)
    unless socket($socket, $AF_UNIX, $SOCK_STREAM, 0) && bind($socket, pack('S x a*', $AF_UNIX, $name)) && listen($socket, $BACKLOG);
  hand($id, 'net.Server', $socket);
}

sub handle {
  my ($kind, $id, $body) = @_;
  if ($kind eq 'c' && length $body == 3) {
    my ($family, $port) = unpack('C n', $body);
    break_off() unless exists $LOOPBACK{$family};
    start_connecting($id, $family, $port);
  }
  elsif ($kind eq 'x') { delete $connecting{$id}; }
  elsif ($kind eq 'l' && length $body == 2) { start_listening($id, unpack('n', $body)); }
  elsif ($kind eq 'd' && length $body == 2) { take_datagrams($id, unpack('n', $body)); }
  elsif ($kind eq 'u' && length $body) { start_listening_at($id, $body); }
  else { break_off(); }
}

while (1) {
  my ($readable, $writable) = ('', '');
  vec($readable, fileno(STDIN), 1) = 1;
  vec($writable, fileno $_, 1) = 1 for values %connecting;
  next if select($readable, $writable, undef, undef) < 0;
  for my $id (keys %connecting) {
    finish_connecting($id) if vec($writable, fileno $connecting{$id}, 1);
  }
  exit 0 if vec($readable, fileno(STDIN), 1) && !take_frames(\*STDIN, \&handle);
}
