/*
 * What libuv's documentation leads to: a buffer allocated for each read, a queued write for each
 * answer. To be measured against, not to be used.
 *
 *     server-naive PORT
 */

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static void on_closed(uv_handle_t *handle)
{
        free(handle);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
        (void)handle;
        *buffer = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void on_written(uv_write_t *request, int status)
{
        (void)status;
        free(request->data);
        free(request);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
        if (n > 0) {
                uv_write_t *request = malloc(sizeof(*request));
                uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)n);

                request->data = buffer->base;
                uv_write(request, stream, &answer, 1, on_written);
                return;
        }
        free(buffer->base);
        if (n < 0)
                uv_close((uv_handle_t *)stream, on_closed);
}

static void on_connection(uv_stream_t *server, int status)
{
        uv_tcp_t *client = malloc(sizeof(*client));

        if (status < 0)
                abort();
        uv_tcp_init(server->loop, client);
        if (uv_accept(server, (uv_stream_t *)client) < 0) {
                uv_close((uv_handle_t *)client, on_closed);
                return;
        }
        uv_tcp_nodelay(client, 1);
        uv_read_start((uv_stream_t *)client, on_allocate, on_read);
}

int main(int argc, char **argv)
{
        struct sockaddr_in address;
        uv_tcp_t server;

        uv_tcp_init(uv_default_loop(), &server);
        uv_ip4_addr("127.0.0.1", atoi(argc > 1 ? argv[1] : "7"), &address);
        if (uv_tcp_bind(&server, (const struct sockaddr *)&address, 0) < 0 ||
            uv_listen((uv_stream_t *)&server, 4096, on_connection) < 0) {
                perror("server-naive");
                return 1;
        }
        return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
