"""A Django project that was written against Heroku Connect. What is its own comes from the environment, as on Heroku."""

import os

SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "heroku_connect",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "urls"
STATIC_URL = "/static/"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DATABASES = {
    "default": {
        "ENGINE": "heroku_connect.db.backends.postgresql",
        "HOST": os.environ["DATABASE_HOST"],
        "NAME": os.environ["DATABASE_NAME"],
        "USER": os.environ["DATABASE_USER"],
        "PORT": "5432",
    }
}
DATABASE_ROUTERS = ["heroku_connect.db.router.HerokuConnectRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
TIME_ZONE = "Europe/Berlin"
USE_TZ = True
HEROKU_CONNECT_APP_NAME = os.environ.get("HEROKU_APP_NAME", "shop")
HEROKU_CONNECT_ORGANIZATION_ID = os.environ["ORGANIZATION_ID"]
# The library reads it without a prefix, and gives it a default with one.
HEROKU_AUTH_TOKEN = os.environ.get("HEROKU_AUTH_TOKEN", "")
