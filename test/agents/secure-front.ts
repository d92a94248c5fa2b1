import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";

export interface SecureFront {
  port: number;
  /** Certificate of the authority that signed the server's certificate, as PEM. */
  authority: string;
  close(): Promise<void>;
}

/** Starts a TLS server for a host name that forwards connections to a port of this machine. */
export async function secureFront(host: string, port: number): Promise<SecureFront> {
  const { authority, key, cert } = await makeCertificates(host);
  const sockets = new Set<Socket>();
  const server = createServer({ key, cert, ALPNProtocols: ["http/1.1"] }, (inside) => {
    const outside = connect(port, "127.0.0.1");
    for (const [socket, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.once("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    authority,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}

/** Makes an authority and a certificate signed by it: some agents refuse a self-signed certificate. */
async function makeCertificates(host: string) {
  const cwd = await mkdtemp(join(tmpdir(), "agent-vm-tls-"));
  try {
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd, stdio: "ignore" });
    const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await writeFile(join(cwd, "names"), `subjectAltName=DNS:${host}`);
    openssl(
      "req",
      "-x509",
      ...fresh,
      "-keyout",
      "ca.key",
      "-out",
      "ca",
      "-subj",
      "/CN=authority",
      "-days",
      "1",
    );
    openssl("req", ...fresh, "-keyout", "key", "-out", "request", "-subj", `/CN=${host}`);
    const signed = ["-CA", "ca", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "names"];
    openssl("x509", "-req", "-in", "request", "-out", "cert", ...signed);
    const [authority, key, cert] = ["ca", "key", "cert"].map((name) => readFileSync(join(cwd, name), "utf8"));
    return { authority: authority!, key: key!, cert: cert! };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}
