# Leads the connections of one VM to sockets of the server on a kernel without nf_tables. Enters the VM's network namespace
# and the user namespace that owns it, and no other namespace of the VM. Ends when it has done its work.
#
# Arguments: CHANNEL, a descriptor of Node's channel between processes; pid of the VM's init, or 0 for a trial in the own
# namespaces; GATEWAY, the descriptor of a socket that a run before has made, or 0; then for each socket of TCP: ADDRESS PORT.
# ADDRESS is 0 for a port of the gateway, else one of 127.0.0.0/8 in the VM that is outside it.
#
# The kernel's part, by netlink alone:
#   - The gateway is another network namespace of the same owner. No process is in it: the server's sockets keep it.
#   - The VM's packets go there by a pair of interfaces, of which the VM has one.
#   - In the gateway every address is local on lo. A socket that listens there on a port of all addresses takes the
#     connections to that port; their own local address is the address that the program wanted.
#   - DNS is answered at the resolver's address. The kernel refuses all other ports.
# The VM's own ports stay free for its programs, which a listening socket in its own namespace would take.

my ($channel_fd, $init, $gateway_fd, @sockets) = @ARGV;
my ($CLONE_NEWNET, $SIOCGSKNS, $SO_REUSEADDR) = (0x40000000, 0x894c, 2);
# No more than a packet of lo has, so that few packets carry much.
my $PACKET_BYTES = 65_535;
my %INSIDE = (name => 'outside', link => "\x02\0\0\0\0\x02");
my %GATEWAY = (name => 'inside', link => "\x02\0\0\0\0\x01");

$0 = 'agentos-gateway';

sub index_of {
  my ($name) = @_;
  socket(my $socket, $AF_INET, $SOCK_DGRAM, 0) or fail('no socket');
  my $request = pack('a16 x24', $name);
  ioctl($socket, $SIOCGIFINDEX, $request) or fail('no interface');
  return unpack('x16 i', $request);
}

# ip link add inside type veth peer name outside netns VM
sub add_pair {
  my ($network) = @_;
  my $head = pack('CxSlLL', 0, 0, 0, 0, 0);
  my $attributes = sub { my ($end) = @_; return text(3, $end->{name}) . attribute(1, $end->{link}) . attribute(4, pack('L', $PACKET_BYTES)); };
  my $peer = attribute(1, $head . $attributes->(\%INSIDE) . attribute(28, pack('L', fileno $network)));
  return ask($NETLINK_ROUTE, 1, confirmed(16, $CREATE, $head . $attributes->(\%GATEWAY) . nest(18, text(1, 'veth') . nest(2, $peer))));
}

# Nobody is asked for the other end's hardware address: a table of the kernel that all VMs share has no more than this.
sub know { my ($family, $index, $address, $link) = @_; return change(28, $CREATE, pack('CxSlSCC', $family, 0, $index, 0x80, 0, 0) . attribute(1, $address) . attribute(2, $link)); }

sub direct { my ($family, $table, $index, $address) = @_; return add_route($family, $table, $SCOPE_LINK, $ROUTE_UNICAST, $index, 8 * length $address, attribute(1, $address)); }

# Sets up one family in the VM.
sub lead_out {
  my ($family, $own, $other, $index) = @_;
  return add_address($family, $own, 2, $SCOPE_ALL, $index) && know($family, $index, $other, $GATEWAY{link})
    && direct($family, $TABLE_MAIN, $index, $other)
    && add_route($family, $TABLE_MAIN, $SCOPE_ALL, $ROUTE_UNICAST, $index, 0, attribute(5, $other) . attribute(7, $own));
}

# Sets up one family in the gateway.
sub take_in {
  my ($family, $own, $loopback, $index) = @_;
  return all_local($family, $loopback) && know($family, $index, $own, $INSIDE{link}) && direct($family, $TABLE_LOCAL, $index, $own);
}

sub listen_on {
  my ($family, $port, $address) = @_;
  my $socket;
  socket($socket, $family, $SOCK_STREAM, 0) or return;
  # Earlier connections of a port that a policy names again may still be ending.
  setsockopt($socket, $SOL_SOCKET, $SO_REUSEADDR, pack('l', 1)) or return;
  setsockopt($socket, $SOL_IPV6, $IPV6_V6ONLY, pack('l', 1)) or return if $family == $AF_INET6;
  my $any = $family == $AF_INET ? pack('S n N x8', $AF_INET, $port, $address) : pack('S n x24', $AF_INET6, $port);
  bind($socket, $any) && listen($socket, $BACKLOG) or return;
  return $socket;
}

open(my $channel, '+<&=', $channel_fd) or fail('no channel');
my $network = network_of($init || 'self');
enter_owner($network) if $init > 0;
my $has_ipv6 = 1;
if ($gateway_fd > 0) {
  open(my $socket, '<&=', $gateway_fd) or fail('no socket of the gateway');
  my $fd = ioctl($socket, $SIOCGSKNS, 0) or fail('cannot find the gateway');
  open(my $gateway, '<&=', $fd) or fail('cannot find the gateway');
  enter($gateway);
}
else {
  syscall($SYS{unshare}, $CLONE_NEWNET) == 0 or fail('cannot make a network namespace');
  my $gateway = network_of('self');
  add_pair($network) or fail('the kernel has no pairs of interfaces (veth)');
  my $there = index_of($GATEWAY{name});
  link_up($LOOPBACK_INDEX) && link_up($there) && take_in($AF_INET, $OWN, "\x7f\0\0\1", $there) or fail('cannot set up the gateway');
  $has_ipv6 = take_in($AF_INET6, $OWN6, "\0" x 15 . "\1", $there);
  # Otherwise the gateway would answer pings for every address.
  for my $switch ('ipv4/icmp_echo_ignore_all', 'ipv6/icmp/echo_ignore_all') { my $file; open($file, '>', "/proc/sys/net/$switch") && syswrite($file, 1); }
  enter($network);
  my $here = index_of($INSIDE{name});
  link_up($LOOPBACK_INDEX) && link_up($here) && lead_out($AF_INET, $OWN, $RESOLVER, $here) or fail("cannot set up the VM's interface");
  $has_ipv6 = lead_out($AF_INET6, $OWN6, $RESOLVER6, $here) if $has_ipv6;
  enter($gateway);
  my $questions;
  socket($questions, $AF_INET, $SOCK_DGRAM, 0) && bind($questions, pack('S n a4 x8', $AF_INET, 53, $RESOLVER)) or fail('no socket for DNS');
  pass('"type":"dgram.Socket","dgramType":"udp4"', $questions);
}
my @places;
while (@sockets) {
  my ($address, $port) = splice(@sockets, 0, 2);
  if ($address > 0) { push(@places, [$port, $address]); next; }
  my $ipv4 = listen_on($AF_INET, $port, 0) or fail("cannot listen on port $port of the gateway");
  pass('"type":"net.Server"', $ipv4);
  my $ipv6 = $has_ipv6 && listen_on($AF_INET6, $port) or next;
  pass('"type":"net.Server"', $ipv6);
}
enter($network) if @places;
for my $place (@places) {
  # A program of the VM may listen there already.
  my $socket = listen_on($AF_INET, @$place) or next;
  pass('"type":"net.Server"', $socket);
}
hand_over_all($channel, $channel_fd);
