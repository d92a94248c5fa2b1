// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import { heldBytes } from "../../../support/heap.ts";
import { startVm } from "../../../support/vm.ts";

const BYTES = 1_000_000;

/** Answers with chunks of one byte each. */
const SERVER = `
import socket
server = socket.create_server(("127.0.0.1", 3000))
print("listening", flush=True)
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n")
    client.sendall(b"1\\r\\nx\\r\\n" * ${BYTES})
    client.sendall(b"0\\r\\n\\r\\n")
    client.close()
`;

test("a response of one byte a chunk costs the server little more than its bytes", async () => {
  const { vm } = startVm();
  await vm.spawn("python3", ["-c", SERVER]);
  await vm.waitForPort(3000);
  const before = heldBytes();
  let most = 0;
  const sampler = setInterval(() => {
    most = Math.max(most, heldBytes() - before);
  }, 100);
  const { body } = await vm.vmFetch(3000, "/", { timeoutMs: 120_000 });
  clearInterval(sampler);
  expect(body).toHaveLength(BYTES);
  expect(most).toBeLessThan(50_000_000);
});
