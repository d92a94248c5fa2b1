import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Server, Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { sealedStdio } from "../descriptors.ts";
import { syscallNumbers } from "../start/arch.ts";
import type { Entry } from "../start/command.ts";
import { SYSTEM_PATH } from "../tools.ts";

/** What a connector is made of: perl starts in a tenth of Node's time, and takes a tenth of its memory. */
export type ConnectorKind = "perl" | "node";

const PROGRAM = readFileSync(new URL("./connector.pl", import.meta.url), "utf8");

/** Its name ends as this module's does: `.ts` in the sources, `.js` in the package. */
const NODE_PROGRAM = fileURLToPath(import.meta.url).replace(/connector(\.\w+)$/, "connector-program$1");

/** Where Node's channel lies in the child. */
const CHANNEL_FD = 3;

/** The connector has ended; another one may do. */
export class ConnectorLost extends Error {}

/** The kernel refused a socket or a connection. */
export class SocketRefused extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

interface Answer {
  id: number;
  errno?: number;
}

type Handle = Socket | Server;

/**
 * A process that makes sockets in a VM's network namespace and passes them to the server, which then holds the kernel's
 * own socket: no relay stands between, and nothing runs once it is made. It enters the VM's user and network namespaces
 * alone. Outside of its pid namespace nobody inside can signal it, trace it or look into it, and with the host's files
 * it loads no library that a VM could have put in place.
 */
export class Connector {
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<Handle>>();
  #errors = "";
  #lastId = 0;
  #lost = false;

  constructor({ initPid, tools, owner }: Entry, wanted?: ConnectorKind) {
    const numbers = syscallNumbers();
    const perl =
      wanted === "node" || numbers === undefined || tools.perl === undefined
        ? undefined
        : [tools.perl, "-f", "-e", PROGRAM, String(CHANNEL_FD), String(numbers.sendmsg)];
    const enter = ["--target", String(initPid), "--user", "--preserve-credentials", "--net", "--"];
    const drop = [tools.setpriv, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"];
    const program = perl ?? [process.execPath, NODE_PROGRAM];
    this.#process = spawn(tools.nsenter, [...enter, ...drop, ...program], {
      stdio: sealedStdio(["ignore", "ignore", "pipe", "ipc"]),
      cwd: "/",
      env: { PATH: SYSTEM_PATH },
      detached: true,
      ...(owner ?? {}),
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    this.#process.on("message", (answer, handle) => this.#hear(answer as Answer, handle as Handle));
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.#lose();
        resolve();
      };
      this.#process.once("exit", end);
      this.#process.once("error", end);
    });
  }

  get isUsable(): boolean {
    return !this.#lost;
  }

  /** Sockets on their way. */
  get busy(): number {
    return this.#waiting.size;
  }

  /** A connection to a port of the VM's loopback. */
  async connect(family: 4 | 6, port: number, signal: AbortSignal): Promise<Socket> {
    const socket = await this.#ask((id) => `connect ${id} ${family} ${port}`, signal);
    if (!(socket instanceof Socket)) throw new ConnectorLost("the connector passed something else");
    return socket;
  }

  /** A server on a free port of 127.0.0.1 inside. */
  async listen(signal: AbortSignal): Promise<Server> {
    const server = await this.#ask((id) => `listen ${id}`, signal);
    if (!(server instanceof Server)) throw new ConnectorLost("the connector passed something else");
    return server;
  }

  async close(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    this.#process.kill("SIGKILL");
    await this.ended;
  }

  async #ask(request: (id: number) => string, signal: AbortSignal): Promise<Handle> {
    signal.throwIfAborted();
    if (this.#lost) throw new ConnectorLost("the connector has ended");
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Handle>();
    this.#waiting.set(id, answer);
    const give = () => {
      this.#send(`cancel ${id}`);
      answer.reject(signal.reason);
    };
    signal.addEventListener("abort", give, { once: true });
    this.#send(request(id));
    try {
      return await answer.promise;
    } finally {
      signal.removeEventListener("abort", give);
      this.#waiting.delete(id);
    }
  }

  #send(request: string): void {
    // Its end is told by its exit.
    this.#process.send(request, () => undefined);
  }

  #hear({ id, errno }: Answer, handle: Handle | undefined): void {
    const answer = this.#waiting.get(id);
    // Whoever listens to a socket's errors comes a moment later.
    if (handle instanceof Socket) handle.on("error", () => handle.destroy());
    if (answer === undefined) closeHandle(handle);
    else if (handle === undefined) answer.reject(new SocketRefused(errno ?? 0));
    else answer.resolve(handle);
  }

  #lose(): void {
    this.#lost = true;
    this.#process.stderr?.destroy();
    for (const { reject } of this.#waiting.values()) {
      reject(new ConnectorLost(`the connector has ended: ${this.#errors.trim()}`));
    }
  }
}

function closeHandle(handle: Handle | undefined): void {
  if (handle instanceof Socket) handle.destroy();
  else handle?.close();
}
