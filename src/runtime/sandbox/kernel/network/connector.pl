# Makes sockets in the network namespace of one VM and hands them to the server. Runs in no other namespace of the VM's
# but its user namespace: nothing inside can see, signal or trace it, and none of the VM's files are among its own.
#
# Speaks Node's own channel between processes, a JSON value a line, on descriptor CHANNEL. Reads:
#   "connect ID FAMILY PORT"    FAMILY 4 or 6: to that port of the loopback
#   "cancel ID"
#   "listen ID"                 on a free port of 127.0.0.1
# Writes for each request its socket, or {"id":ID,"errno":ERRNO}.
use strict;

my ($channel_fd, $sendmsg) = @ARGV;
my ($AF_INET, $AF_INET6, $SOCK_STREAM) = (2, 10, 1 | 04000 | 02000000);
my ($SOL_SOCKET, $SO_ERROR, $SCM_RIGHTS) = (1, 4, 1);
my $EINPROGRESS = 115;
my $BACKLOG = 128;
my %LOOPBACK = (
  4 => sub { pack('S n a4 x8', $AF_INET, $_[0], "\x7f\0\0\1") },
  6 => sub { pack('S n N a16 N', $AF_INET6, $_[0], 0, "\0" x 15 . "\1", 0) },
);

$0 = 'agentos-connector';
open(my $channel, '+<&=', $channel_fd) or die;

my %connecting;

sub refuse {
  my ($id, $errno) = @_;
  syswrite($channel, "{\"id\":$id,\"errno\":$errno}\n");
}

# sendmsg(2) with the socket as ancillary data, which Node takes for a handle.
sub hand_over {
  my ($id, $type, $socket) = @_;
  my $line = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"$type\",\"msg\":{\"id\":$id}}\n";
  my $vector = pack('P Q', $line, length $line);
  my $rights = pack('Q l l l x4', 20, $SOL_SOCKET, $SCM_RIGHTS, fileno $socket);
  my $message = pack('Q L x4 P Q P Q l x4', 0, 0, $vector, 1, $rights, length $rights, 0);
  exit 1 if syscall($sendmsg, $channel_fd, $message, 0) < 0;
}

sub start_connecting {
  my ($id, $family, $port) = @_;
  my $socket;
  return refuse($id, $! + 0) unless socket($socket, $family == 4 ? $AF_INET : $AF_INET6, $SOCK_STREAM, 0);
  return hand_over($id, 'net.Socket', $socket) if connect($socket, $LOOPBACK{$family}->($port));
  return refuse($id, $! + 0) unless $! == $EINPROGRESS;
  $connecting{$id} = $socket;
}

sub finish_connecting {
  my ($id) = @_;
  my $socket = delete $connecting{$id};
  my $errno = unpack('i', getsockopt($socket, $SOL_SOCKET, $SO_ERROR));
  return $errno == 0 ? hand_over($id, 'net.Socket', $socket) : refuse($id, $errno);
}

sub start_listening {
  my ($id) = @_;
  my $socket;
  return refuse($id, $! + 0)
    unless socket($socket, $AF_INET, $SOCK_STREAM, 0) && bind($socket, $LOOPBACK{4}->(0)) && listen($socket, $BACKLOG);
  hand_over($id, 'net.Server', $socket);
}

my $buffer = '';
while (1) {
  my ($readable, $writable) = ('', '');
  vec($readable, $channel_fd, 1) = 1;
  vec($writable, fileno $_, 1) = 1 for values %connecting;
  next if select($readable, $writable, undef, undef) < 0;
  for my $id (keys %connecting) {
    finish_connecting($id) if vec($writable, fileno $connecting{$id}, 1);
  }
  next unless vec($readable, $channel_fd, 1);
  exit 0 unless sysread($channel, $buffer, 65536, length $buffer);
  while ($buffer =~ s/^(.*)\n//) {
    my $request = $1;
    if ($request =~ /^"connect (\d+) ([46]) (\d+)"$/) { start_connecting($1, $2, $3); }
    elsif ($request =~ /^"cancel (\d+)"$/) { delete $connecting{$1}; }
    elsif ($request =~ /^"listen (\d+)"$/) { start_listening($1); }
  }
}
