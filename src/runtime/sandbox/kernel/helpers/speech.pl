# Common to the programs that talk to the server in frames: a 32-bit length, then a kind of one byte, a 32-bit number, and a
# body. Numbers are big-endian. A program ends with 0 when its input ends, and with 2 when its input breaks the protocol.

my $FRAME_MAX = 33_554_432;
my $FRAME_HEAD = 5;

sub break_off { exit 2; }

sub frame {
  my ($kind, $number, $body) = @_;
  return pack('N/a*', pack('a1 N a*', $kind, $number, $body));
}

# Writes everything. If nobody reads it, the process ends, or, with `stays => 1`, goes on without the rest.
sub write_all {
  my ($stream, $data, %option) = @_;
  while (length $data) {
    my $written = syswrite($stream, $data);
    next if !defined $written && $! == $EINTR;
    unless ($written) { return if $option{stays}; exit 0; }
    substr($data, 0, $written, '');
  }
}

sub send_frame {
  my ($stream, @frame) = @_;
  write_all($stream, frame(@frame));
}

# Reads once, and hands each whole frame to a function as KIND, NUMBER, BODY. False at the end of the input.
my %unfinished;
sub take_frames {
  my ($stream, $handle) = @_;
  my $input = \($unfinished{fileno $stream} //= '');
  my $count = sysread($stream, $$input, 65536, length $$input);
  return $! == $EINTR || $! == $EAGAIN unless defined $count;
  return 0 if $count == 0;
  my $at = 0;
  while (length($$input) >= $at + 4) {
    my $length = unpack('N', substr($$input, $at, 4));
    break_off() if $length < $FRAME_HEAD || $length > $FRAME_MAX;
    last if length($$input) < $at + 4 + $length;
    my $frame = substr($$input, $at + 4, $length);
    $at += 4 + $length;
    $handle->(unpack('a1 N a*', $frame));
  }
  substr($$input, 0, $at, '');
  return 1;
}
