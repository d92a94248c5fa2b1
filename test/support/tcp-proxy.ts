import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";

export interface TcpProxy {
  endpoint: string;
  /** Number of open connections. */
  connections(): number;
  /** Bytes that the server has sent so far. */
  received: number;
  /** Number of connections that the proxy has refused. */
  refused: number;
  /** Cuts every connection, as a broken network would. */
  cut(): void;
  /** Stops reading from the server without closing a connection. */
  stall(): void;
  /** Reads from the server again and discards the data. */
  drain(): void;
  /** Port for new connections; `undefined` refuses them. */
  target: number | undefined;
  close(): Promise<void>;
}

/** Starts a proxy for a server on 127.0.0.1. */
export async function tcpProxy(port: number): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>();
  const proxy: TcpProxy = {
    endpoint: "",
    received: 0,
    refused: 0,
    target: port,
    connections: () => pairs.size,
    cut() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
    },
    stall() {
      for (const [, upstream] of pairs) upstream.unpipe().pause();
    },
    drain() {
      for (const [, upstream] of pairs) upstream.resume();
    },
    async close() {
      server.close();
      proxy.cut();
      await once(server, "close");
    },
  };
  const server = net.createServer((client) => {
    if (proxy.target === undefined) {
      proxy.refused += 1;
      client.destroy();
      return;
    }
    const upstream = net.connect(proxy.target, "127.0.0.1");
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    for (const socket of pair) {
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
    upstream.on("data", (data) => {
      proxy.received += data.length;
    });
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
