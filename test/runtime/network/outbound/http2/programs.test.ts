import { createSecureServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  status,
} from "@grpc/grpc-js";
import { build } from "esbuild";
import { expect, onTestFinished, test } from "vitest";
import { makeCertificate } from "../../../../support/certificate.ts";
import { needs } from "../../../../support/installed.ts";
import { startOutboundVm } from "../../../../support/outside.ts";

const VALUE = "s3cr3t/value+1234";

/** A VM with a secret for the https host `api.test`, which is a server on this machine. */
function startVm(port: number, ca: string) {
  return startOutboundVm(
    {
      outbound: { allow: ["api.test", `127.0.0.2:${port}`] },
      secrets: {
        KEY: { value: VALUE, hosts: [`api.test:${port}`], headers: { authorization: "Bearer {secret}" } },
      },
      ca,
    },
    { "api.test": ["127.0.0.2"] },
  );
}

/** A VM, and a server outside that answers with the path and the secret. */
async function startHost() {
  const tls = await makeCertificate("api.test");
  const server = createSecureServer(tls);
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.respond({ ":status": 200 });
    stream.end(`${headers[":path"]} ${headers.authorization}\n`);
  });
  server.on("session", (session) => onTestFinished(() => session.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.2", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { ...startVm(port, tls.cert), url: `https://api.test:${port}` };
}

test("curl and Node speak HTTP/2 to a host with a secret, with the proxy and without it", async () => {
  const { vm, curl, url } = await startHost();
  for (const way of ["", "--noproxy '*'"]) {
    const { text } = await curl(`${way} --http2 -w '%{http_version} ' ${url}/a ${url}/b`);
    expect(text).toBe(`/a Bearer ${VALUE}\n2 /b Bearer ${VALUE}\n2 `);
  }
  const program = `
    const session = require("node:http2").connect("${url}");
    const paths = ["/1", "/2", "/3"];
    let left = paths.length;
    for (const path of paths) {
      session.request({ ":path": path }).setEncoding("utf8").on("data", (text) => process.stdout.write(text))
        .on("close", () => --left === 0 && session.close());
    }`;
  const { stdout, stderr } = await vm.execArgv("node", ["-e", program]);
  expect([stdout.trim().split("\n").sort(), stderr]).toEqual([
    ["/1", "/2", "/3"].map((path) => `${path} Bearer ${VALUE}`),
    "",
  ]);
});

test("Java's client speaks HTTP/2 to a host with a secret", { tags: ["slow"] }, async ({ skip }) => {
  needs(skip, "javac");
  const { vm, url } = await startHost();
  const program = `
    import java.net.http.*;
    public class Main { public static void main(String[] a) throws Exception {
      var request = HttpRequest.newBuilder(java.net.URI.create("${url}/java")).build();
      var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
      System.out.print(answer.version() + " " + answer.body());
    } }`;
  await vm.writeFile("/tmp/Main.java", program);
  const { stdout } = await vm.exec("java -XX:TieredStopAtLevel=1 /tmp/Main.java");
  expect(stdout).toBe(`HTTP_2 /java Bearer ${VALUE}\n`);
});

test("Go's client speaks HTTP/2 to a host with a secret, with the proxy and without it", {
  tags: ["slow"],
}, async ({ skip }) => {
  needs(skip, "go");
  const { vm, url } = await startHost();
  const program = `package main
    import ("fmt"; "io"; "net/http")
    func main() { r, err := http.Get("${url}/go"); if err != nil { panic(err) }; b, _ := io.ReadAll(r.Body); fmt.Print(r.Proto, " ", string(b)) }`;
  await vm.writeFile("/tmp/main.go", program);
  const build = "cd /tmp && CGO_ENABLED=0 GOFLAGS=-mod=mod go build -o client main.go";
  const { stdout } = await vm.exec(`${build} && ./client && env -u HTTPS_PROXY -u https_proxy ./client`);
  expect(stdout).toBe(`HTTP/2.0 /go Bearer ${VALUE}\n`.repeat(2));
});

test("a gRPC client gets the secret in calls and streams, with metadata, trailers, errors and deadlines", async () => {
  const tls = await makeCertificate("api.test");
  const codec = {
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: (bytes: Buffer) => String(bytes),
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: (bytes: Buffer) => String(bytes),
  };
  const server = new Server();
  const methods = {
    Once: { path: "/test.Texts/Once", requestStream: false, responseStream: false, ...codec },
    Chat: { path: "/test.Texts/Chat", requestStream: true, responseStream: true, ...codec },
  };
  const cancelled = Promise.withResolvers<string>();
  const once: handleUnaryCall<string, string> = (call, callback) => {
    const [key] = call.metadata.get("authorization");
    if (call.request === "wait") call.on("cancelled", () => cancelled.resolve("cancelled"));
    else if (call.request === "fail") callback({ code: status.NOT_FOUND, details: "no such text" });
    else {
      const trailer = new Metadata();
      trailer.set("x-end", "yes");
      callback(null, `${call.request} ${key}`, trailer);
    }
  };
  const chat: handleBidiStreamingCall<string, string> = (call) => {
    call.on("data", (text: string) => call.write(`${text} ${call.metadata.get("authorization")[0]}`));
    call.on("end", () => call.end());
  };
  server.addService(methods, { Once: once, Chat: chat });
  const credentials = ServerCredentials.createSsl(null, [
    { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) },
  ]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.2:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  onTestFinished(() => server.forceShutdown());
  const { vm } = startVm(port, tls.cert);
  const program = `
    import { credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
    import { readFileSync } from "node:fs";
    const codec = {
      requestSerialize: (text) => Buffer.from(text), requestDeserialize: String,
      responseSerialize: (text) => Buffer.from(text), responseDeserialize: String,
    };
    const methods = {
      Once: { path: "/test.Texts/Once", requestStream: false, responseStream: false, ...codec },
      Chat: { path: "/test.Texts/Chat", requestStream: true, responseStream: true, ...codec },
    };
    const Client = makeGenericClientConstructor(methods, "Texts");
    const client = new Client("api.test:${port}", credentials.createSsl(readFileSync(process.env.SSL_CERT_FILE)));
    const once = (text, options = {}) => new Promise((resolve) => {
      const call = client.Once(text, options, (error, answer) => resolve(error?.code + " " + (error?.details.slice(0, 13) ?? answer)));
      call.on("status", ({ metadata }) => console.log(String(metadata.get("x-end"))));
    });
    console.log(await once("hello"));
    console.log(await once("fail"));
    console.log((await once("wait", { deadline: Date.now() + 1000 })).slice(0, 1));
    const chat = client.Chat();
    for (const text of ["one", "two"]) {
      chat.write(text);
      console.log(await new Promise((resolve) => chat.once("data", resolve)));
    }
    chat.end();
    chat.on("data", () => undefined).on("end", () => { console.log("end"); client.close(); });`;
  const bundle = await build({
    stdin: { contents: program, resolveDir: import.meta.dirname, loader: "js" },
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire("/");' },
    logLevel: "error",
  });
  await vm.writeFile("/tmp/client.mjs", bundle.outputFiles[0]?.text ?? "");
  const { stdout, stderr } = await vm.exec(
    "env -u https_proxy -u HTTPS_PROXY -u grpc_proxy node /tmp/client.mjs",
  );
  expect([stdout.split("\n"), stderr]).toEqual([
    [
      "yes",
      `undefined hello Bearer ${VALUE}`,
      "",
      "5 no such text",
      "",
      "4",
      `one Bearer ${VALUE}`,
      `two Bearer ${VALUE}`,
      "end",
      "",
    ],
    "",
  ]);
  expect(await cancelled.promise).toBe("cancelled");
});
