/** What the spawner says; see spawner.pl. It runs inside the VM, so nothing it says is taken on trust. */
export type SpawnerMessage = { what: "ready"; pid: number } | JobMessage;

/** What it says about one of its commands. */
export type JobMessage =
  | { what: "started"; id: number; pid: number; stdinFd: number; stdoutFd: number; stderrFd: number }
  | { what: "running"; id: number }
  | { what: "refused" | "failed"; id: number; errno: number }
  | { what: "exited"; id: number; status: number; userUs: number; systemUs: number; maxRssKib: number };

const MAX_LINE_BYTES = 256;

/** Splits what the spawner writes into messages; throws where it is none. */
export class MessageParser {
  #rest = "";

  *push(data: Buffer): Generator<SpawnerMessage> {
    const lines = (this.#rest + data.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_LINE_BYTES) throw new Error("the spawner says nothing sensible");
    for (const line of lines) yield parse(line);
  }
}

function parse(line: string): SpawnerMessage {
  const [what, ...words] = line.split(" ");
  const numbers = words.map(Number);
  const valid = numbers.every((number) => Number.isSafeInteger(number) && number >= 0);
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = numbers;
  if (valid && what === "ready" && numbers.length === 1) return { what, pid: a };
  if (valid && what === "started" && numbers.length === 5) {
    return { what, id: a, pid: b, stdinFd: c, stdoutFd: d, stderrFd: e };
  }
  if (valid && what === "running" && numbers.length === 1) return { what, id: a };
  if (valid && (what === "refused" || what === "failed") && numbers.length === 2)
    return { what, id: a, errno: b };
  if (valid && what === "exited" && numbers.length === 5) {
    return { what, id: a, status: b, userUs: c, systemUs: d, maxRssKib: e };
  }
  throw new Error(`the spawner says ${JSON.stringify(line.slice(0, 80))}`);
}

/** A request: its length, then its fields with NUL between them. No field can hold a NUL. */
export function encodeRequest(...fields: (string | number)[]): Buffer {
  const body = Buffer.from(fields.join("\0"), "utf8");
  const request = Buffer.allocUnsafe(4 + body.length);
  request.writeUInt32LE(body.length, 0);
  body.copy(request, 4);
  return request;
}
