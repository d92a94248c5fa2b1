// @module-tag any-user
import dns from "node:dns";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";

test("a client makes names below localhost resolve in its process, and leaves other names alone", async () => {
  const server = createServer((request, response) => response.end(request.headers.host));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  createClient("http://127.0.0.1:9");
  const host = `token-actor.localhost:${(server.address() as AddressInfo).port}`;
  expect(await (await fetch(`http://${host}/`)).text()).toBe(host);
  expect(await promisify(dns.lookup)("192.0.2.1")).toEqual({ address: "192.0.2.1", family: 4 });
});
