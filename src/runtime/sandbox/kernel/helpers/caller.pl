# Calls the server from inside a VM. The server does the work: this program sends its name and its arguments, and prints.
#
# Writes frames to the server's socket, an abstract name in the VM's own network namespace:
#   "a" 0 SESSION NUL NAME NUL ARGUMENT...   first, once
#   "i" 0 BYTES          a piece of stdin, as an answer to "n"; empty at its end
#   "f" 0 BYTES          a file, as an answer to "r", or "F" 0 MESSAGE if it cannot be read
# Reads frames:
#   "o" 0 BYTES, "E" 0 BYTES   prints to stdout, to stderr
#   "n" 0                sends the next piece of stdin
#   "r" MAX PATH         sends a file of at most MAX bytes; "-" is stdin
#   "x" CODE             ends with the code

my ($AF_UNIX, $SOCK_STREAM, $ECONNREFUSED) = (1, 1 | 02000000, 111);
my $CALL_NAME = 'agentos/host';

# The server may begin to listen a moment after the first program has started.
my ($TRIES, $PAUSE_S) = (500, 0.01);

sub give_up { syswrite(STDERR, "$_[0]\n"); exit 1; }

my $socket;

# Sends a frame. A server that refuses the call reads nothing more: its answer, which is read next, says why.
sub tell_server {
  local $SIG{PIPE} = 'IGNORE';
  write_all($socket, frame(@_), stays => 1);
}

my $name = $0;
$name =~ s{.*/}{}s;
socket($socket, $AF_UNIX, $SOCK_STREAM, 0) or give_up("$name: no socket: error " . ($! + 0));
for (my $tries = 1; !connect($socket, pack('S x a*', $AF_UNIX, $CALL_NAME)); $tries++) {
  give_up("$name: the host does not answer: error " . ($! + 0)) if $tries == $TRIES || $! != $ECONNREFUSED && $! != $EINTR;
  select(undef, undef, undef, $PAUSE_S);
}
tell_server('a', 0, join("\0", $ENV{AGENT_VM_SESSION} // '', $name, @ARGV));

my $wants_input = 0;

# Reads one piece of stdin; none if it is closed.
sub send_input {
  $wants_input = 0;
  my $piece = '';
  sysread(STDIN, $piece, 65536);
  tell_server('i', 0, $piece // '');
}

sub send_file {
  my ($max, $path) = @_;
  my ($stream, $content) = (\*STDIN, '');
  if ($path ne '-') {
    sysopen(my $file, $path, 0) or return tell_server('F', 0, "Cannot read $path: $!");
    $stream = $file;
  }
  while (1) {
    my $count = sysread($stream, $content, 65536, length $content);
    next if !defined $count && $! == $EINTR;
    return tell_server('F', 0, "Cannot read $path: $!") unless defined $count;
    last if $count == 0;
    return tell_server('F', 0, "$path is larger than $max bytes") if length $content > $max;
  }
  tell_server('f', 0, $content);
}

sub handle {
  my ($kind, $number, $body) = @_;
  if ($kind eq 'o') { write_all(\*STDOUT, $body); }
  elsif ($kind eq 'E') { write_all(\*STDERR, $body); }
  elsif ($kind eq 'n') { $wants_input = 1; }
  elsif ($kind eq 'r') { send_file($number, $body); }
  elsif ($kind eq 'x') { exit $number; }
  else { break_off(); }
}

while (1) {
  my $readable = '';
  vec($readable, fileno $socket, 1) = 1;
  my $input = $wants_input ? fileno(STDIN) : undef;
  if (defined $input) { vec($readable, $input, 1) = 1; }
  elsif ($wants_input) { send_input(); next; }
  next if select($readable, undef, undef, undef) < 0;
  if (vec($readable, fileno $socket, 1)) {
    take_frames($socket, \&handle) or give_up("$name: the host has ended the call");
  }
  send_input() if defined $input && vec($readable, $input, 1) && $wants_input;
}
