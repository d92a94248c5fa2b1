import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { VmClient, VmConnection, VmHandle } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";

/** VM and client of a feature. */
interface Place {
  client: VmClient<typeof registry>;
  key: string;
  vm: VmHandle;
  connection: VmConnection;
}

/** A feature of a VM, which throws if it does not work. */
export interface Feature {
  name: string;
  /** Whether it takes long. The short form leaves it out. */
  isLong?: boolean;
  run(place: Place): Promise<unknown>;
}

const EVENT_TIMEOUT_MS = 10_000;
const PORT = 3000;

const WEB_SERVER = `require("node:http").createServer((request, response) => {
  if (request.url.startsWith("/big")) return response.end(Buffer.alloc(Number(request.url.slice(4))));
  if (request.method === "POST") {
    let bytes = 0;
    request.on("data", (piece) => { bytes += piece.length; }).on("end", () => response.end(String(bytes)));
    return;
  }
  if (request.url !== "/events") return response.end("hello " + request.url);
  response.writeHead(200, { "content-type": "text/event-stream" });
  let count = 0;
  const timer = setInterval(() => {
    response.write("data: " + ++count + "\\n\\n");
    if (count === 3) { clearInterval(timer); response.end(); }
  }, 200);
}).listen(${PORT})`;

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + EVENT_TIMEOUT_MS;
  while (!condition()) {
    assert(performance.now() < end, `Still false: ${condition}`);
    await delay(20);
  }
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function largeFile(megabytes: number, isLong = false): Feature {
  return {
    name: `file of ${megabytes} MB, there and back`,
    isLong,
    async run({ vm }) {
      const content = randomBytes(megabytes * 1_000_000);
      await vm.writeFile("/workspace/large", content);
      assert.equal(sha256(await vm.readFile("/workspace/large")), sha256(content));
    },
  };
}

function previewBody(megabytes: number, isLong = false): Feature {
  return {
    name: `preview: ${megabytes} MB each way`,
    isLong,
    async run({ vm }) {
      const { url } = await vm.createSignedPreviewUrl(PORT);
      const bytes = megabytes * 1_000_000;
      const got = await fetch(`${url}big${bytes}`);
      assert.equal((await got.arrayBuffer()).byteLength, bytes);
      const posted = await fetch(url, { method: "POST", body: new Uint8Array(bytes) });
      assert.equal(await posted.text(), String(bytes));
    },
  };
}

function tarOf(megabytes: number, isLong = false): Feature {
  return {
    name: `tar of ${megabytes} MB into another VM`,
    isLong,
    async run({ vm, client, key }) {
      const bytes = megabytes * 1_000_000;
      await vm.exec(`mkdir -p /workspace/tree && head -c ${bytes} /dev/urandom > /workspace/tree/file`);
      const other = client.vm.getOrCreate(`${key}-tar`);
      await other.importTar(await vm.exportTar("/workspace/tree"), "/workspace/tree");
      const sum = async (each: VmHandle) => (await each.exec("sha256sum /workspace/tree/file")).stdout;
      assert.equal(await sum(other), await sum(vm));
    },
  };
}

/** The features of a VM, each as a client of the fleet sees it. Later ones use what earlier ones have started. */
export const FEATURES: readonly Feature[] = [
  {
    name: "create and exec",
    async run({ vm }) {
      assert.equal((await vm.exec("echo hi")).stdout, "hi\n");
    },
  },
  {
    name: "connection: exec 20 times",
    async run({ connection }) {
      for (let n = 0; n < 20; n += 1) assert.equal((await connection.exec(`echo ${n}`)).stdout, `${n}\n`);
    },
  },
  {
    name: "events: spawn, stdin, output",
    async run({ connection }) {
      let output = "";
      const end = connection.on("processOutput", ({ data }) => {
        output += Buffer.from(data).toString();
      });
      const { pid } = await connection.spawn("cat", []);
      await connection.writeProcessStdin(pid, "streamed\n");
      await connection.closeProcessStdin(pid);
      assert.equal(await connection.waitProcess(pid), 0);
      await until(() => output === "streamed\n");
      end();
    },
  },
  {
    name: "events: 5 MB of output",
    async run({ connection }) {
      let bytes = 0;
      const end = connection.on("processOutput", ({ data }) => {
        bytes += data.byteLength;
      });
      const { pid } = await connection.spawn("head", ["-c", "5000000", "/dev/zero"]);
      await connection.waitProcess(pid);
      await until(() => bytes === 5_000_000);
      end();
    },
  },
  {
    name: "terminal",
    async run({ connection }) {
      let output = "";
      const end = connection.on("shellData", ({ data }) => {
        output += Buffer.from(data).toString();
      });
      const { shellId } = await connection.openShell({});
      await connection.writeShell(shellId, "tty; echo done-$((40+2))\n");
      await until(() => output.includes("done-42") && output.includes("/dev/pts/"));
      await connection.closeShell(shellId);
      end();
    },
  },
  largeFile(8),
  largeFile(30),
  largeFile(100, true),
  tarOf(5),
  tarOf(25, true),
  {
    name: "exec of 70 s",
    isLong: true,
    async run({ vm }) {
      assert.equal((await vm.exec("sleep 70; echo after")).stdout, "after\n");
    },
  },
  {
    name: "vmFetch",
    async run({ vm }) {
      await vm.spawn("node", ["-e", WEB_SERVER]);
      await vm.waitForPort(PORT);
      const { body } = await vm.vmFetch(PORT, "/x");
      assert.equal(Buffer.from(body).toString(), "hello /x");
    },
  },
  {
    name: "preview: page",
    async run({ vm }) {
      const { url } = await vm.createSignedPreviewUrl(PORT);
      assert.equal(await (await fetch(`${url}page`)).text(), "hello /page");
    },
  },
  {
    name: "preview: events arrive one by one",
    async run({ vm }) {
      const { url } = await vm.createSignedPreviewUrl(PORT);
      const response = await fetch(`${url}events`);
      const pieces: string[] = [];
      for await (const piece of response.body as AsyncIterable<Uint8Array>)
        pieces.push(Buffer.from(piece).toString().trim());
      assert.deepEqual(pieces, ["data: 1", "data: 2", "data: 3"]);
    },
  },
  previewBody(5),
  previewBody(30, true),
  {
    name: "watch of files",
    async run({ vm, connection }) {
      let isSeen = false;
      const end = connection.on("fileChanged", () => {
        isSeen = true;
      });
      await connection.watchFiles("/workspace");
      await vm.exec("echo x > /workspace/watched");
      await until(() => isSeen);
      end();
    },
  },
  {
    name: "snapshot and undo",
    async run({ vm }) {
      await vm.writeFile("/workspace/version", "one");
      const { id } = await vm.createSnapshot("first");
      await vm.exec("echo two > /workspace/version");
      await vm.undo(["/workspace/version"], id);
      assert.equal(Buffer.from(await vm.readFile("/workspace/version")).toString(), "one");
    },
  },
  {
    name: "four forks, on any server",
    async run({ vm, client, key }) {
      // A fork copies all files.
      await vm.exec("rm -rf /workspace/large /workspace/tree");
      for (const n of [1, 2, 3, 4]) {
        await vm.fork(`${key}-fork-${n}`);
        const fork = client.vm.get(`${key}-fork-${n}`);
        assert.equal((await fork.exec("cat /workspace/version")).stdout, "one");
      }
    },
  },
  {
    name: "cron every second",
    async run({ vm }) {
      const action = { type: "exec", command: "date >> /workspace/ticks" } as const;
      await vm.scheduleCron({ id: "tick", schedule: "* * * * * *", action });
      const end = performance.now() + EVENT_TIMEOUT_MS;
      const ran = async () => (await vm.listCronRuns("tick")).filter(({ status }) => status === "completed");
      while ((await ran()).length < 2) assert(performance.now() < end, "The job has not run");
      await vm.cancelCronJob("tick");
    },
  },
];
