// A gRPC client as applications in Node are.
//
//     node client.js [--rpcs N] [--deadline SECONDS] [--authority NAME] TARGET ...
//
// It makes its calls to each target over one connection and prints, by target, who answered how many and which errors
// there were. Messages are bytes, so that no generated code is needed.
'use strict';

const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');

const METHOD = '/echo.EchoServer/SayHello';
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rpcs: { type: 'string', default: '100' },
    deadline: { type: 'string', default: '10' },
    authority: { type: 'string' },
  },
});

const asItIs = (bytes) => bytes;

function once(client) {
  const deadline = Date.now() + 1000 * Number(values.deadline);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(METHOD, asItIs, asItIs, Buffer.alloc(0), { deadline }, (error, reply) =>
      error ? reject(error) : resolve(JSON.parse(reply)),
    );
  });
}

function count(counters, key) {
  counters[key] = (counters[key] ?? 0) + 1;
}

async function call(target) {
  const options = values.authority ? { 'grpc.default_authority': values.authority } : {};
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), options);
  const found = { backends: {}, pods: {}, failed: 0, errors: {} };
  for (let each = 0; each < Number(values.rpcs); each += 1) {
    try {
      const who = await once(client);
      count(found.backends, who.address);
      count(found.pods, who.pod);
    } catch (error) {
      found.failed += 1;
      count(found.errors, `${grpc.status[error.code]}: ${error.details}`);
    }
  }
  client.close();
  return found;
}

async function main() {
  const found = {};
  for (const target of positionals) found[target] = await call(target);
  console.log(JSON.stringify(found));
}

main();
