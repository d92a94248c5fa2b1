# Common to the programs that pass sockets to the server. None may look into another one, or take a descriptor of it.

my $PR_SET_DUMPABLE = 4;
syscall($SYS{prctl}, $PR_SET_DUMPABLE, 0, 0, 0, 0);

my ($AF_UNIX, $AF_INET, $AF_INET6, $SOCK_STREAM, $SOCK_DGRAM) = (1, 2, 10, 1 | 04000 | 02000000, 2 | 04000 | 02000000);
my ($SOL_SOCKET, $SO_ERROR, $SCM_RIGHTS) = (1, 4, 1);
my $BACKLOG = 128;
my %LOOPBACK = (
  4 => sub { pack('S n a4 x8', $AF_INET, $_[0], "\x7f\0\0\1") },
  6 => sub { pack('S n N a16 N', $AF_INET6, $_[0], 0, "\0" x 15 . "\1", 0) },
);

# sendmsg(2) on Node's own channel between processes, with the socket as ancillary data, which Node takes for a handle.
sub hand_over {
  my ($channel_fd, $id, $type, $socket) = @_;
  my $line = "{\"cmd\":\"NODE_HANDLE\",$type,\"msg\":{\"id\":$id}}\n";
  my $vector = pack('P Q', $line, length $line);
  my $rights = pack('Q l l l x4', 20, $SOL_SOCKET, $SCM_RIGHTS, fileno $socket);
  my $message = pack('Q L x4 P Q P Q l x4', 0, 0, $vector, 1, $rights, length $rights, 0);
  exit 0 if syscall($SYS{sendmsg}, $channel_fd, $message, 0) < 0;
}
