# Common to the programs that set up the network of a VM and pass sockets in it to the server.

my ($NS_GET_USERNS, $SIOCGIFINDEX) = (0xb701, 0x8933);
my ($AF_NETLINK, $SOCK_RAW, $NETLINK_ROUTE) = (16, 3 | 02000000, 0);
my ($REQUEST, $ACK, $CREATE) = (1, 4, 0x400);
my ($SOL_IPV6, $IPV6_V6ONLY, $EEXIST) = (41, 26, 17);
my ($LOOPBACK_INDEX, $SCOPE_ALL, $SCOPE_LINK, $SCOPE_HOST, $ROUTE_UNICAST, $ROUTE_LOCAL) = (1, 0, 253, 254, 1, 2);
my ($TABLE_MAIN, $TABLE_LOCAL) = (254, 255);
# 198.18.0.1 is the resolver's, 198.18.0.2 the VM's own. Their place among the addresses of names, and their IPv6 prefix,
# are those of names.ts.
my ($RESOLVER, $OWN) = ("\xc6\x12\0\1", "\xc6\x12\0\2");
my ($RESOLVER6, $OWN6) = map { "\xfd\x61gentvm\0\0\0\0$_" } $RESOLVER, $OWN;

sub fail { syswrite(STDERR, "$_[0], error " . ($! + 0) . "\n"); exit 1; }

sub enter { syscall($SYS{setns}, fileno $_[0], 0) == 0 or fail("cannot enter the VM's network"); }
sub network_of { my ($pid) = @_; open(my $network, '<', "/proc/$pid/ns/net") or fail("cannot open the VM's network"); return $network; }

# Enters the user namespace that owns a network, with all capabilities over it.
sub enter_owner {
  my $owner_fd = ioctl($_[0], $NS_GET_USERNS, 0) or fail("cannot open the owner of the VM's network");
  open(my $owner, '<&=', $owner_fd) or fail("cannot open the owner of the VM's network");
  enter($owner);
}

# Netlink: a message, its attributes, and a batch of which each message is confirmed.
sub attribute { my ($type, $data) = @_; my $length = 4 + length $data; return pack('SS', $length, $type) . $data . "\0" x (-$length & 3); }
sub nest { return attribute($_[0] | 0x8000, $_[1]); }
sub number { return attribute($_[0], pack('N', $_[1])); }
sub text { return attribute($_[0], "$_[1]\0"); }
my $sequence = 1;
sub message { my ($type, $flags, $body) = @_; return pack('LSSLL', 16 + length $body, $type, $flags, $sequence++, 0) . $body; }
sub confirmed { return message($_[0], $REQUEST | $ACK | $_[1], $_[2]); }

sub ask {
  my ($protocol, $confirmations, @messages) = @_;
  socket(my $netlink, $AF_NETLINK, $SOCK_RAW, $protocol) or return 0;
  send($netlink, join('', @messages), 0, pack('SSLL', $AF_NETLINK, 0, 0, 0)) or return 0;
  while ($confirmations > 0) {
    defined recv($netlink, my $answer, 65536, 0) or return 0;
    while (length $answer >= 20) {
      my ($length, $type) = unpack('LS', $answer);
      if ($type == 2) {
        $! = -unpack('l', substr($answer, 16, 4));
        return 0 if $! != 0;
        $confirmations--;
      }
      $answer = substr($answer, ($length + 3) & ~3);
    }
  }
  return 1;
}

# Interfaces, addresses and routes. An existing one stays.
sub change { my ($type, $flags, $body) = @_; return ask($NETLINK_ROUTE, 1, confirmed($type, $flags, $body)) || $! == $EEXIST; }
sub link_up { return change(16, 0, pack('CxSlLL', 0, 0, $_[0], 1, 1)); }
sub add_address {
  my ($family, $address, $flags, $scope, $index) = @_;
  return change(20, $CREATE, pack('CCCCL', $family, 8 * length $address, $flags, $scope, $index) . attribute(1, $address) . attribute(2, $address));
}
sub add_route {
  my ($family, $table, $scope, $type, $index, $bits, @attributes) = @_;
  my $head = pack('CCCCCCCCL', $family, $bits, 0, 0, $table, 4, $scope, $type, 0);
  return change(24, $CREATE, $head . attribute(4, pack('L', $index)) . join('', @attributes));
}

# ip route add local default dev lo src SOURCE: every address is the namespace's own.
sub all_local {
  my ($family, $source) = @_;
  my $scope = $family == $AF_INET ? $SCOPE_HOST : $SCOPE_ALL;
  return add_route($family, $TABLE_LOCAL, $scope, $ROUTE_LOCAL, $LOOPBACK_INDEX, 0, attribute(7, $source));
}

# Sockets that go to the server.
my @passed;
sub port_of { return unpack('x2 n', getsockname $_[0]); }
sub pass { my ($type, $socket) = @_; push(@passed, [$type, $socket]); return port_of($socket); }

# The server ends this process when it has all sockets, which Node confirms one by one.
sub hand_over_all {
  my ($channel, $channel_fd) = @_;
  hand_over($channel_fd, $_ + 1, @{$passed[$_]}) for 0 .. $#passed;
  write_all($channel, '{"done":' . scalar(@passed) . "}\n");
  while (1) {
    my $readable = '';
    vec($readable, $_, 1) = 1 for fileno(STDIN), $channel_fd;
    next if select($readable, undef, undef, undef) < 0;
    exit 0 if vec($readable, fileno(STDIN), 1);
    if (vec($readable, $channel_fd, 1)) { sysread($channel, my $confirmed, 65536) or exit 0; }
  }
}
