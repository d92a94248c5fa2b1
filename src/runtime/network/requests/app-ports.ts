import type { Socket } from "node:net";
import { connect as startTls } from "node:tls";
import { EndSignal } from "../../../base/end-signal.ts";
import type { Connect } from "./http-agent.ts";

/**
 * Time for a TLS handshake with a server in the VM.
 * @unit ms
 * @past The server is taken for one without TLS.
 */
const TLS_HANDSHAKE_MS = 5_000;

/**
 * Connects to ports of a VM, with TLS to servers that speak it. A server shows that only when a plain request has failed,
 * because a handshake would appear as an error in the log of a plain server.
 */
export class AppPorts {
  readonly #open: Connect;
  readonly #tls = new Set<number>();

  constructor(open: Connect) {
    this.#open = open;
  }

  readonly connect: Connect = async (port, signal) => {
    const socket = await this.#open(port, signal);
    if (!this.#tls.has(port)) return socket;
    try {
      return await handshake(socket, signal);
    } catch {
      signal?.throwIfAborted();
      // Another server listens there now.
      this.#tls.delete(port);
      return await this.#open(port, signal);
    }
  };

  /**
   * Looks whether a server speaks TLS, after a plain request has failed.
   *
   * @returns `true` if it does and that is news: the request can be repeated
   */
  readonly speaksTls = async (port: number, signal?: AbortSignal): Promise<boolean> => {
    if (this.#tls.has(port)) return false;
    try {
      (await handshake(await this.#open(port, signal), signal)).destroy();
    } catch {
      return false;
    }
    this.#tls.add(port);
    return true;
  };
}

/** Certificates of a development server name no host that could be checked, and the connection never leaves the VM. */
async function handshake(socket: Socket, signal?: AbortSignal): Promise<Socket> {
  const secure = startTls({ socket, rejectUnauthorized: false, servername: "localhost" });
  const end = new EndSignal([signal]).after(
    TLS_HANDSHAKE_MS,
    () => new Error("the TLS handshake takes long"),
  );
  const fail = () => secure.destroy(end.signal.reason as Error);
  end.signal.addEventListener("abort", fail, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", resolve);
      secure.on("error", reject);
      secure.once("close", () => reject(new Error("the connection was closed during the TLS handshake")));
      if (end.signal.aborted) fail();
    });
    return secure;
  } catch (error) {
    secure.destroy();
    socket.destroy();
    throw error;
  } finally {
    end.release();
  }
}
