// GObject: a lock of all classes is held while a class is initialised.
// pkg: gobject-2.0
// debian: libglib2.0-dev
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex holder=worker acquired=g_type_class_ref,worker waiting=g_type_class_ref,in_child focus=in_child
#include "server.h"

#include <glib-object.h>

typedef GObject Slow;
typedef GObjectClass SlowClass;
typedef GObject Other;
typedef GObjectClass OtherClass;
static GType slow_get_type(void);
static GType other_get_type(void);
G_DEFINE_TYPE(Slow, slow, G_TYPE_OBJECT)
G_DEFINE_TYPE(Other, other, G_TYPE_OBJECT)

static void slow_init(Slow *self) {
    (void)self;
}
static void slow_class_init(SlowClass *class) {
    (void)class;
    hold();
}
static void other_init(Other *self) {
    (void)self;
}
static void other_class_init(OtherClass *class) {
    (void)class;
}

static void worker(void) {
    g_object_unref(g_object_new(slow_get_type(), NULL));
}

static void in_child(void) {
    g_object_unref(g_object_new(other_get_type(), NULL));
}

int main(int argc, char **argv) {
    (void)argv;
    return serve(argc);
}
