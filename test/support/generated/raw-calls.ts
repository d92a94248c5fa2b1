import { type Encoding, encode, Raw } from "./wire.ts";

/** The outcome of a raw call: the code of its error, or `undefined` if it succeeded. */
export type Code = string | undefined;

/** Calls an action by HTTP, without this package's client. */
export async function postAction(
  actorUrl: string,
  encoding: Encoding,
  action: string,
  args: unknown,
): Promise<Code> {
  const response = await fetch(`${actorUrl}/action/${action}`, {
    method: "POST",
    headers: { "x-rivet-encoding": encoding },
    body: new Uint8Array(encode(encoding, { args })),
  });
  const body = Buffer.from(await response.arrayBuffer());
  if (response.ok) return undefined;
  return codeIn(body) ?? `status ${response.status}: ${body.toString()}`;
}

/** A connection to an actor, without this package's client. It opens again after the server has closed it. */
export class RawConnection {
  readonly #url: string;
  readonly #encoding: Encoding;
  #socket: WebSocket | undefined;

  constructor(actorUrl: string, encoding: Encoding) {
    this.#url = `${actorUrl.replace("http", "ws")}/connect`;
    this.#encoding = encoding;
  }

  /** Calls an action. A close of the connection with a reason of this package is a coded error too. */
  async call(action: string, args: unknown): Promise<Code> {
    this.#socket ??= await this.#open();
    const socket = this.#socket;
    const { promise, resolve } = Promise.withResolvers<Code>();
    const onMessage = ({ data }: MessageEvent) => {
      const message = Buffer.from(data as ArrayBuffer | string as string);
      if (message.includes("ActionResponse")) resolve(undefined);
      else if (message.includes("Error")) resolve(codeIn(message) ?? message.toString());
    };
    const onClose = ({ code, reason }: CloseEvent) => {
      this.#socket = undefined;
      resolve(/^user\.(\w+)$/.exec(reason)?.[1] ?? `closed with ${code} ${reason}`);
    };
    socket.addEventListener("message", onMessage);
    socket.addEventListener("close", onClose);
    const body = {
      tag: "ActionRequest",
      val: { id: ONE, name: action, args },
    };
    socket.send(new Uint8Array(encode(this.#encoding, { body })));
    const code = await promise;
    socket.removeEventListener("message", onMessage);
    socket.removeEventListener("close", onClose);
    return code;
  }

  close(): void {
    this.#socket?.close();
  }

  async #open(): Promise<WebSocket> {
    const protocols = ["rivet", `rivet_encoding.${this.#encoding}`, "rivet_conn_params.%7B%7D"];
    const socket = new WebSocket(this.#url, protocols);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("close", reject, { once: true });
    });
    return socket;
  }
}

const ONE = new Raw("1", '["$BigInt","1"]', "1b0000000000000001");

/** Finds the code of an error in its JSON or CBOR. */
function codeIn(message: Buffer): string | undefined {
  return (/"code":"(\w+)"/.exec(message.toString()) ??
    /dcode[`-x][^a-zA-Z]?(\w+?)gmessage/.exec(message.toString("latin1")))?.[1];
}
