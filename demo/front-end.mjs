// The front end: what a browser talks to. GET /products/ITEM and POST /checkout { item, amount }; asks orders for both.
import { serve } from './service.mjs';

serve(async ({ method, path, body }, call) => {
  if (method === 'GET' && path.startsWith('/products/')) {
    const item = path.slice('/products/'.length);
    return call('orders', 'GET', `/availability/${item}`);
  }
  if (path === '/checkout') {
    const placed = await call('orders', 'POST', '/orders', { item: body.item ?? 'book', amount: body.amount ?? 20 });
    if (placed.status >= 500) return { status: 502, body: { error: 'the order could not be placed' } };
    return { status: placed.status, body: placed.body };
  }
  return { status: 404, body: { error: 'not found' } };
});
