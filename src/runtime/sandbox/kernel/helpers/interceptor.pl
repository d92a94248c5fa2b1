# Makes all TCP connections and all DNS questions of one VM arrive at sockets of the server. Enters the VM's network
# namespace and the user namespace that owns it, and no other namespace: nothing inside can see, signal or trace it. Ends
# when it has done its work.
#
# Arguments: CHANNEL, a descriptor of Node's channel between processes; pid of the VM's init, or 0 for a trial in
# the own namespaces; PORT that the sockets get if
# it is free; the ports of the sockets that a run before has made, or 0 to make them; then for each place in 127.0.0.0/8
# that is outside the VM: ADDRESS BITS PORT.
#
# The kernel's part, by netlink alone:
#   - Every address is local on lo, so that a packet to any address stays in the VM. One of them is the VM's own, so that
#     getaddrinfo(3) with AI_ADDRCONFIG does not find the machine without a network.
#   - TPROXY leads each TCP connection whose destination is not loopback to one socket, whose connections have the wanted
#     address as their own local address. A program cannot forge it.
#   - DNS over UDP is redirected to another socket, and its packets alone are tracked: a table of connections of the
#     kernel cannot be filled with others.
#   - Everything else fails at once with EPERM.
# The socket of TCP connections is transparent, which takes CAP_NET_ADMIN over the namespace: no program of the VM has it.

my ($channel_fd, $init, $wanted_port, $tcp_port, $dns_port, @places) = @ARGV;
my ($NETLINK_NETFILTER, $APPEND) = (12, 0x800);
my ($TCP, $UDP, $DNS) = (pack('C', 6), pack('C', 17), pack('n', 53));
my ($SOL_IP, $IP_TRANSPARENT, $IPV6_TRANSPARENT) = (0, 19, 75);
# New connections and DNS packets in a second; further SYNs are sent again by the kernel, further questions by programs.
my ($MAX_SYNS, $MAX_QUESTIONS) = (500, 500);
my $TABLE = 'agent-vm';

$0 = 'agentos-interceptor';

# nftables: expressions of rules. Each compares a part of the packet, and the last does something.
sub expression { my ($name, $data) = @_; return nest(1, text(1, $name) . nest(2, $data)); }
sub immediate { my ($register, $data) = @_; return expression('immediate', number(1, $register) . nest(2, attribute(1, $data))); }
sub verdict { return expression('immediate', number(1, 0) . nest(2, nest(2, number(1, $_[0])))); }
sub equals { return expression('cmp', number(1, 1) . number(2, 0) . nest(3, attribute(1, $_[0]))); }
sub masked { my ($mask) = @_; my $n = length $mask; return expression('bitwise', number(1, 1) . number(2, 1) . number(3, $n) . nest(4, attribute(1, $mask)) . nest(5, attribute(1, "\0" x $n))); }
sub part { my ($base, $offset, $length) = @_; return expression('payload', number(1, 1) . number(2, $base) . number(3, $offset) . number(4, $length)); }
sub protocol { return expression('meta', number(1, 1) . number(2, 16)) . equals($_[0]); }
sub from_port { return part(2, 0, 2) . equals($_[0]); }
sub to_port { return part(2, 2, 2) . equals($_[0]); }
sub above { my ($rate) = @_; return expression('limit', attribute(1, pack('Q>', $rate)) . attribute(2, pack('Q>', 1)) . number(3, $rate) . number(4, 0) . number(5, 1)); }
my ($ACCEPT, $DROP) = (verdict(1), verdict(0));

# The mask of a network of so many bits of an IPv4 address.
sub mask { my ($bits) = @_; return pack('N', $bits == 0 ? 0 : (0xffffffff << (32 - $bits)) & 0xffffffff); }

# Replaces the table of one family in one step.
sub intercept {
  my ($family, $nf_family, $offset, $loopback, $inside, $inside_mask, $own, @outside) = @_;
  my $head = pack('CCn', $nf_family, 0, 0);
  my $name = text(1, $TABLE);
  my $chain = sub {
    my ($chain, $type, $hook, $priority) = @_;
    my $at = nest(4, number(1, $hook) . attribute(2, pack('N', $priority & 0xffffffff)));
    return confirmed(0xa03, $CREATE, $head . $name . text(3, $chain) . $at . number(5, 1) . text(7, $type));
  };
  my $rule = sub { my $chain = shift; return confirmed(0xa06, $CREATE | $APPEND, $head . $name . text(2, $chain) . nest(4, join '', @_)); };
  my $destination = part(1, $offset, length $loopback);
  my @is_inside = ($destination . masked($inside_mask) . equals($inside), $destination . equals($own));
  my $lead = immediate(1, $loopback) . immediate(2, pack 'n', $tcp_port) . expression('tproxy', number(1, $nf_family) . number(2, 1) . number(3, 2));
  my $redirect = immediate(1, pack 'n', $dns_port) . expression('redir', number(1, 1) . number(3, 2));
  my $is_syn = protocol($TCP) . part(2, 13, 1) . masked(pack 'C', 0x17) . equals(pack 'C', 2);
  my @exceptions = map {
    my ($address, $bits, $port) = @$_;
    my $matches = protocol($TCP) . $destination . masked(mask($bits)) . equals($address & mask($bits)) . to_port(pack 'n', $port);
    $rule->('connections', $matches, $lead, $ACCEPT);
  } @outside;
  my @messages = (
    confirmed(0xa00, $CREATE, $head . $name . number(2, 0)),
    confirmed(0xa02, 0, $head . $name),
    confirmed(0xa00, $CREATE, $head . $name . number(2, 0)),
    # Hooks: 0 before routing, 3 of the namespace's own packets.
    $chain->('tracked', 'filter', 3, -300),
    # No packet comes straight to the sockets, past the limits.
    $rule->('tracked', protocol($UDP), to_port(pack 'n', $dns_port), $DROP),
    $rule->('tracked', protocol($UDP), to_port($DNS), above($MAX_QUESTIONS), $DROP),
    $rule->('tracked', protocol($UDP), to_port($DNS), $ACCEPT),
    $rule->('tracked', protocol($UDP), from_port(pack 'n', $dns_port), $ACCEPT),
    $rule->('tracked', expression('notrack', '')),
    $chain->('names', 'nat', 3, -100),
    (map { $rule->('names', $_, $ACCEPT) } @is_inside),
    $rule->('names', protocol($UDP), to_port($DNS), $redirect),
    $chain->('refused', 'filter', 3, 0),
    (map { $rule->('refused', $_, $ACCEPT) } @is_inside),
    $rule->('refused', protocol($TCP), $ACCEPT),
    $rule->('refused', $DROP),
    $chain->('connections', 'filter', 0, -150),
    $rule->('connections', $is_syn, to_port(pack 'n', $tcp_port), above($MAX_SYNS), $DROP),
    $rule->('connections', $destination . equals($loopback), $ACCEPT),
    @exceptions,
    (map { $rule->('connections', $_, $ACCEPT) } @is_inside),
    $rule->('connections', $is_syn, above($MAX_SYNS), $DROP),
    $rule->('connections', protocol($TCP), $lead),
  );
  return 0 unless ask($NETLINK_NETFILTER, scalar @messages, message(0x10, $REQUEST, pack('CCn', 0, 0, 10)), @messages, message(0x11, $REQUEST, pack('CCn', 0, 0, 10)));
  # ip link set lo up; ip address add OWN dev lo; ip route add local default dev lo src 127.0.0.1
  return link_up($LOOPBACK_INDEX) && add_address($family, $own, 2, $SCOPE_HOST, $LOOPBACK_INDEX) && all_local($family, $loopback);
}

sub make_socket {
  my ($family, $type, $port, $options) = @_;
  socket(my $socket, $family == 4 ? $AF_INET : $AF_INET6, $type, 0) or return;
  setsockopt($socket, $_->[0], $_->[1], pack('l', 1)) or return for @$options;
  bind($socket, $LOOPBACK{$family}->($port)) || ($family == 4 && $port == $wanted_port && bind($socket, $LOOPBACK{$family}->(0))) or return;
  return if $type == $SOCK_STREAM && !listen($socket, $BACKLOG);
  return $socket;
}

open(my $channel, '+<&=', $channel_fd) or fail('no channel');
if ($init > 0) {
  my $network = network_of($init);
  enter_owner($network);
  enter($network);
}
my $makes = $tcp_port == 0;
if ($makes) {
  my $tcp = make_socket(4, $SOCK_STREAM, $wanted_port, [[$SOL_IP, $IP_TRANSPARENT]]) or fail('no transparent socket');
  my $udp = make_socket(4, $SOCK_DGRAM, $wanted_port, []) or fail('no socket for DNS');
  $tcp_port = pass('"type":"net.Server"', $tcp);
  $dns_port = pass('"type":"dgram.Socket","dgramType":"udp4"', $udp);
}
my @outside = map { [pack('N', $places[$_ * 3]), $places[$_ * 3 + 1], $places[$_ * 3 + 2]] } 0 .. @places / 3 - 1;
intercept($AF_INET, 2, 16, "\x7f\0\0\1", "\x7f\0\0\0", "\xff\0\0\0", $OWN, @outside) or fail("the kernel's nf_tables cannot redirect connections");
# A kernel without IPv6 has no way out by it, and a VM then has no IPv6 addresses of names.
my $has_ipv6 = 0;
if ($makes) {
  my $tcp = make_socket(6, $SOCK_STREAM, $tcp_port, [[$SOL_IPV6, $IPV6_TRANSPARENT], [$SOL_IPV6, $IPV6_V6ONLY]]);
  my $udp = $tcp && make_socket(6, $SOCK_DGRAM, $dns_port, [[$SOL_IPV6, $IPV6_V6ONLY]]);
  if ($udp && intercept($AF_INET6, 10, 24, "\0" x 15 . "\1", "\0" x 15 . "\1", "\xff" x 16, $OWN6)) {
    pass('"type":"net.Server"', $tcp);
    pass('"type":"dgram.Socket","dgramType":"udp6"', $udp);
  }
}
hand_over_all($channel, $channel_fd);
