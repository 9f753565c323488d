// OpenSSL: a store of certificates, locked by a thread that goes through it.
// pkg: libcrypto
// debian: libssl-dev
// expect: orphaned-lock confidence=proved lockkind=pthread_rwlock holder=worker acquired=CRYPTO_THREAD_write_lock,worker waiting=X509_STORE_add_cert,in_child
#include "server.h"

#include <openssl/x509.h>

static X509_STORE *store;

static void worker(void) {
    X509_STORE_lock(store);
    hold();
    X509_STORE_unlock(store);
}

static void in_child(void) {
    X509_STORE_add_cert(store, X509_new());
}

int main(int argc, char **argv) {
    (void)argv;
    store = X509_STORE_new();
    return serve(argc);
}
