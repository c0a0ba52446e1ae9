// node loop.js ROUNDS: parses, builds and keeps buffers, as a server does.
const rounds = Number(process.argv[2]);
const text = JSON.stringify(Array.from({ length: 300 }, (_, n) => ({ n, name: `item ${n}`, half: n / 2 })));
const kept = new Map();
for (let turn = 0; turn < rounds; turn++) {
  const items = JSON.parse(text);
  const buffer = Buffer.allocUnsafeSlow(4096 + (turn % 64) * 16).fill(turn & 255);
  kept.set(turn % 100, { items: items.filter((item) => item.n % 7 === turn % 7), buffer });
}
