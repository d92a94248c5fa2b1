import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";

/** Name of a host that serves Debian's packages of Java to VMs, as Maven's repository does. */
export const PACKAGES_HOST = "packages.example";

const FOLDER = "/usr/share/maven-repo";

/** Starts the host on loopback. VMs reach it by its name and through the outbound policy. */
export async function startPackages(): Promise<{ port: number; close(): void }> {
  const port = await freePort();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://host");
    fileOf(pathname).then(
      (file) => void createReadStream(file).pipe(response),
      () => void response.writeHead(404).end(),
    );
  });
  server.listen(port, "127.0.0.1");
  return {
    port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function fileOf(path: string): Promise<string> {
  const file = await realpath(join(FOLDER, path));
  if (!(await stat(file)).isFile()) throw new Error(`${path} is not a file`);
  return file;
}
