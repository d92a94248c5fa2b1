import { once } from "node:events";
import net from "node:net";
import { describe, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import { listen } from "../../src/http/listen.ts";
import { createLogger } from "../../src/http/logger.ts";
import { agentOS, setup, vmActor } from "../../src/index.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { failure, until } from "../support/until.ts";

const SECRET = "a secret of all servers behind one engine";

describe("vmActor", () => {
  test.each<[object, string]>([
    [{ onSessionEvents: () => undefined }, "Unknown option `onSessionEvents` of vmActor"],
    [{ onPermissionRequest: "always" }, 'Expected `onPermissionRequest` to be a function, got "always"'],
    [
      { limits: { gpus: 2 } },
      "Unknown option `limits.gpus` of vmActor: it takes `filesystemBytes`, `inodes`, `processes`, `openFiles`, `memoryBytes`, `cpus`, `captureBytes`",
    ],
    [
      { software: [{ hostPath: "/srv/x", path: "/x", mode: 7 }] },
      "Unknown option `software.0.mode` of vmActor: it takes `hostPath`, `path`",
    ],
    [{ software: ["x"] }, "Invalid option `software.0.hostPath` of vmActor: must be an absolute path"],
    [
      { software: [7] },
      "Invalid option `software.0` of vmActor: must be a path of the host, or { hostPath, path }",
    ],
    [
      { software: [{ name: "pi", packageDir: "/x" }] },
      "Invalid option `software.0` of vmActor: must be a path of the host, or { hostPath, path }. VMs have the host's programs, not packages of agentOS",
    ],
    [
      { software: ["/usr/share"] },
      "Invalid option `software.0.path` of vmActor: must not be at or below /proc,",
    ],
    [
      { software: ["/etc"] },
      "Invalid option `software.0.path` of vmActor: must not hide one of the VM's own",
    ],
    [{ software: [{ hostPath: "/x", path: "/home/user/x" }] }, "must not be at or below"],
    [{ env: { A: "x".repeat(131_070) } }, "a variable has at most 131071 bytes, name and value together"],
    [
      { agents: { claude: { from: "x" } } },
      "Invalid option `agents.claude.from` of vmActor: must be an absolute",
    ],
    [
      { agents: { mine: { from: "/x" } } },
      "option `agents.mine` of vmActor: must have a command: the built-in agents",
    ],
    [{ agents: { mine: 7 } }, "option `agents.mine` of vmActor: must be { from } or { command, args?"],
    [
      { agents: { mine: { command: "x", cwd: "/" } } },
      "Unknown option `agents.mine.cwd` of vmActor: it takes `from`, `command`, `args`, `env`, `mounts`",
    ],
    [
      { agents: { mine: { command: "x", mounts: [{ from: "/x", to: "/usr/x" }] } } },
      "option `agents.mine.mounts.0.to` of vmActor: must not be at or below",
    ],
    [{ agents: { "../x": { command: "x" } } }, "option `agents.../x` of vmActor: must be named with letters"],
    [{ runtime: "docker" }, "Invalid option `runtime` of vmActor"],
    [{ limits: { processes: 1 } }, "Invalid option `limits.processes` of vmActor"],
    [{ defaultCwd: "x" }, "Invalid option `defaultCwd` of vmActor"],
  ])("refuses %j and names the option", (options, message) => {
    expect(() => vmActor(options as never)).toThrow(message);
    expect(() => vmActor(options as never)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });

  test("is also called agentOS", () => {
    expect(agentOS).toBe(vmActor);
  });
});

describe("setup", () => {
  const use = () => ({ vm: vmActor({ runtime: "memory" }) });

  test.each(["0.0.0.0", "::", "192.168.0.7", "vm.example"])("listening on %s needs a token", (host) => {
    expect(() => setup({ use: use(), host })).toThrow(`Listening on ${host} needs a token`);
    setup({ use: use(), host, token: "t" });
  });

  test.each(["127.0.0.1", "localhost", "::1"])("listening on %s needs no token", (host) => {
    const { managerHost, driver } = setup({ use: use(), host }).parseConfig();
    expect({ managerHost, driver: driver?.name }).toEqual({ managerHost: host, driver: "agent-vm" });
  });

  test("refuses an empty token, which would admit everyone or no one", () => {
    expect(() => setup({ use: use(), token: "" })).toThrow("The token is empty");
  });

  test.each(["https://app.example", "http://[::1]:5173", "chrome-extension://abcdefgh", "null"])(
    "takes the origin %s",
    (origin) => {
      expect(() => setup({ use: use(), allowedOrigins: [origin] })).not.toThrow();
    },
  );

  test("refuses a port out of range", () => {
    expect(() => setup({ use: use(), port: 0 })).toThrow(
      "Expected `port` to be a port from 1 to 65535, got 0",
    );
  });

  test("refuses an unknown option, because a misspelt token would admit everyone", () => {
    const misspelt = { use: use(), tokn: "secret" };
    expect(() => setup(misspelt)).toThrow(
      /^Unknown option `tokn` of setup: it takes `token`, `secret`, `authorize`, `host`, `port`, .*`managerBasePath`/,
    );
    expect(() => setup({ use: use(), inspector: {} } as never)).toThrow("Unknown option `inspector`");
  });

  test.each<[unknown, string]>([
    [undefined, "Expected `use` to be the actors to serve, such as { vm: vmActor() }, got undefined"],
    [{}, "Expected `use` to be the actors to serve, such as { vm: vmActor() }, got undefined"],
    [{ use: { vm: vmActor } }, "Expected `use.vm` to be an actor, such as vmActor() returns, got function"],
    [{ use: { vm: null } }, "Expected `use.vm` to be an actor, such as vmActor() returns, got null"],
    [{ use: use(), authorize: "user" }, 'Expected `authorize` to be a function, got "user"'],
    // As a text it would admit every origin that is a part of it.
    [
      { use: use(), allowedOrigins: "https://app.example" },
      "Expected `allowedOrigins` to be origins such as",
    ],
    [{ use: use(), allowedOrigins: ["app.example"] }, "Expected `allowedOrigins` to be origins such as"],
    [{ use: use(), allowedOrigins: ["https://app.example/"] }, 'got "https://app.example/"'],
    [{ use: use(), allowedOrigins: ["https://App.example"] }, 'got "https://App.example"'],
    [{ use: use(), allowedOrigins: ["https://app.example", "*"] }, 'got "*"'],
  ])("refuses %j", (options, message) => {
    expect(() => setup(options as never)).toThrow(message);
  });

  test("refuses a vmActor of another server", () => {
    const shared = use();
    setup({ use: shared });
    expect(() => setup({ use: shared })).toThrow("belongs to another setup()");
  });

  test("runs actors for a Rivet Engine without the guarded driver", () => {
    const registry = setup({ use: use(), endpoint: "http://engine.example:6420", token: "secret" });
    const { driver, endpoint, serveManager, inspector } = registry.parseConfig();
    expect({ driver, endpoint, serveManager }).toEqual({
      driver: undefined,
      endpoint: "http://engine.example:6420/",
      serveManager: false,
    });
    // With an engine RivetKit turns an actor's inspector on. Without the secret token it would be open.
    expect(inspector.token()).toMatch(/^[0-9a-f]{64}$/);
  });

  test("serves in front of a Rivet Engine with a secret for all servers", () => {
    const peers = { secret: SECRET, advertise: "http://10.0.0.5:6421" };
    const registry = setup({ use: use(), endpoint: "http://ns:token@engine.example", peers });
    const { driver, endpoint, serveManager, inspector } = registry.parseConfig();
    // RivetKit serves only if it does not know the engine, whose token no client may see.
    expect({ driver: driver?.name, endpoint, serveManager }).toEqual({
      driver: "agent-vm",
      endpoint: undefined,
      serveManager: true,
    });
    expect(inspector.enabled).toBe(false);
  });

  test.each<[string, Partial<Parameters<typeof setup>[0]>]>([
    ["an engine", { peers: { secret: SECRET, advertise: "http://10.0.0.5:6421" } }],
    ["peers", { endpoint: "http://engine.example", vms: false }],
    ["32 bytes", { endpoint: "http://engine.example", peers: { secret: "short", advertise: "http://a:1" } }],
    ["advertise", { endpoint: "http://engine.example", peers: { secret: SECRET } }],
    [
      "advertise",
      { endpoint: "http://engine.example", peers: { secret: SECRET, advertise: "http://a:1/path" } },
    ],
    [
      "a certificate",
      { endpoint: "http://engine.example", peers: { secret: SECRET, advertise: "https://a:1" } },
    ],
  ])("refuses servers without %s", (_what, options) => {
    expect(() => setup({ use: use(), ...options })).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });

  test("passes RivetKit's other options through", () => {
    const { config } = setup({ use: use(), managerBasePath: "/api" });
    expect(config.managerBasePath).toBe("/api");
  });
});

const dataDir = temporaryFolder();

describe("listen", () => {
  test("fails if the port is taken, instead of moving to another port", async () => {
    const port = await freePort();
    const options = { port, dataDir, logger: createLogger("silent") };
    const first = await listen(setup({ use: { vm: vmActor({ pool: { size: 0 } }) }, ...options }));
    const error = await failure(listen(setup({ use: { vm: vmActor({ pool: { size: 0 } }) }, ...options })));
    expect(error).toMatchObject({ code: "port_in_use" });
    expect(error.message).toBe(`Port ${port} is in use on 127.0.0.1 or on another address of this machine`);
    await first.close();
  });

  test("close() and the end of an `await using` block stop listening, and close() can be repeated", async () => {
    // RivetKit does not listen on a port again within 15 seconds.
    const make = async () =>
      setup({
        use: { vm: vmActor({ pool: { size: 0 } }) },
        port: await freePort(),
        dataDir,
        logger: createLogger("silent"),
      });
    let endpoint = "";
    const registry = await make();
    {
      await using server = await listen(registry);
      ({ endpoint } = server);
      expect((await fetch(`${endpoint}/health`)).ok).toBe(true);
    }
    await expect(fetch(`${endpoint}/health`)).rejects.toThrow();
    await using next = await listen(await make());
    expect((await fetch(`${next.endpoint}/health`)).ok).toBe(true);
    await Promise.all([next.close(), next.close()]);
    await next.close();
    await expect(fetch(`${next.endpoint}/health`)).rejects.toThrow();
    expect(await failure(listen(registry))).toMatchObject({
      code: "listen_failed",
      message: expect.stringContaining("has listened before"),
    });
  });

  test("close cuts open connections and WebSockets", async () => {
    const port = await freePort();
    const registry = setup({
      use: { vm: vmActor({ pool: { size: 0 } }) },
      port,
      dataDir,
      logger: createLogger("silent"),
    });
    await using server = await listen(registry);
    const idle = net.connect(port, "127.0.0.1");
    await once(idle, "connect");
    const ended = once(idle, "close");
    const client = createClient<typeof registry>({ endpoint: server.endpoint });
    const connection = client.vm.getOrCreate("open").connect();
    await connection.exists("/");
    const cut = new Promise<void>((resolve) => void connection.onClose(resolve));
    await server.close();
    await Promise.all([cut, ended]);
    await client.dispose();
  });

  test("guards a registry that RivetKit itself starts", async () => {
    const port = await freePort();
    const options = { port, token: "t0ken", dataDir, logger: createLogger("silent") };
    setup({ use: { vm: vmActor({ pool: { size: 0 } }) }, ...options }).start();
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    await until(() =>
      get("/health").then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    expect((await get("/actors/names?namespace=default")).status).toBe(401);
    expect((await get("/actors?name=vm")).status).toBe(401);
  });

  test("does not redirect clients to 127.0.0.1, which is another machine for remote clients", async () => {
    const server = await listen(
      setup({
        use: { vm: vmActor({ pool: { size: 0 } }) },
        port: await freePort(),
        dataDir,
        logger: createLogger("silent"),
      }),
    );
    const metadata = (await (await fetch(`${server.endpoint}/metadata`)).json()) as object;
    expect(metadata).not.toHaveProperty("clientEndpoint");
    await server.close();
  });
});
