import { connect, type Socket } from "node:net";
import { kindOf } from "../../../api/network-rule.ts";
import { OUTBOUND_CONNECT_TIMEOUT_MS } from "../limits.ts";
import type { Sink } from "./sink.ts";

interface DialOptions {
  /** Keeps the own side open when the other side has ended. @default `false` */
  allowHalfOpen?: boolean;
  signal: AbortSignal;
  /** Receives the bytes of the connection, which then has no data to read. */
  sink?: Sink | undefined;
}

/** Connects to an address. `address` must not be a name, because `connect` would resolve it again. */
export function dial(
  address: string,
  port: number,
  { allowHalfOpen = false, signal, sink }: DialOptions,
): Promise<Socket> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const family = kindOf(address) === "ipv6" ? 6 : 4;
    const socket = connect({
      host: address,
      port,
      family,
      allowHalfOpen,
      noDelay: true,
      ...(sink && { onread: sink.onread }),
    });
    const fail = () => socket.destroy(new Error(`no answer from ${address}:${port}`));
    const timer = setTimeout(fail, OUTBOUND_CONNECT_TIMEOUT_MS);
    signal.addEventListener("abort", fail, { once: true });
    const cleanUp = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", fail);
    };
    socket.once("connect", () => {
      cleanUp();
      resolve(socket);
    });
    socket.once("close", cleanUp);
    socket.on("error", reject);
  });
}
