// Inventory: stock and reservations; sofas are kept in the far warehouse and take a while (the demo's slow path).
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './service.mjs';

const farWarehouseMs = 250;

serve(async ({ method, path, body }) => {
  if (method === 'GET' && path.startsWith('/stock/')) {
    return { status: 200, body: { item: path.slice('/stock/'.length), stock: 7 } };
  }
  if (method === 'POST' && path === '/reservations') {
    if (body.item === 'sofa') await sleep(farWarehouseMs);
    return { status: 201, body: { item: body.item, reserved: true } };
  }
  return { status: 404, body: { error: 'not found' } };
});
